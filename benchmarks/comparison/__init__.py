"""The parts of ``benchmarks/kernels.py``: cases, contenders behind one interface, rounds, memory, verdict, picture."""
