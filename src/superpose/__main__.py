"""``python -m superpose`` is the command line program ``superpose``."""

from __future__ import annotations

import sys

from superpose.cli import main

if __name__ == "__main__":
    sys.exit(main())
