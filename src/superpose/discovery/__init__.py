"""Laws from tables: structure first, then terms, then constants."""

from superpose.discovery.engine import Law
from superpose.discovery.laws import Found, find_laws

__all__ = ["Found", "Law", "find_laws"]
