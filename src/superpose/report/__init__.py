"""What a run leaves in its folder: pages, pictures, numbers, code."""

from superpose.report.folder import FILES, write

__all__ = ["FILES", "write"]
