"""What runs in the process of an engine: tables, searches, training, and the work on a network by hand."""
