"""Parts that all benchmarks share: options, the store of results, processes, the machine, result pages."""
