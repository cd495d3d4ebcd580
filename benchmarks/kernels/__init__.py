"""Speed and memory of layers: cases, contenders behind one interface, rounds, memory, targets, picture."""
