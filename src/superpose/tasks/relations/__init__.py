"""Which columns of a table depend on one another, and how."""

from superpose.tasks.relations.result import Inner, Relation, Relations
from superpose.tasks.relations.search import relations

__all__ = ["Inner", "Relation", "Relations", "relations"]
