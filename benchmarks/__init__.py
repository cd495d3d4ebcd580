"""Benchmarks: problems with known answers, superpose and its peers on the same points in the same time.

A program of its own, which is not installed: ``python -m benchmarks NAME`` from the root of a checkout runs one
benchmark of :mod:`benchmarks.catalogue`. The folders are

- ``harness``: options, the store of results, processes, the facts about the machine, parts of result pages;
- ``problems``: functions and laws with their ranges and published errors;
- ``methods``: superpose and its peers behind one interface;
- ``functions``, ``pde``, ``continual``, ``discovery``, ``kernels``: one folder for each kind of benchmark.
"""
