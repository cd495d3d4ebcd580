"""Files as people have them, as tables: what kind of file it is, and what surrounds its cells."""

from superpose.data.reading.formats import read_table

__all__ = ["read_table"]
