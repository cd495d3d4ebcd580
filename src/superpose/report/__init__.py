"""What a run leaves in its folder: pages, pictures, numbers, code."""

from superpose.report.folder import label_code, write

__all__ = ["label_code", "write"]
