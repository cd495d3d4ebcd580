"""Whether prediction intervals hold as many targets as they should."""
