"""Which columns of a table depend on one another, and how."""

from superpose.related.find import relations
from superpose.related.result import Inner, Relation, Relations

__all__ = ["Inner", "Relation", "Relations", "relations"]
