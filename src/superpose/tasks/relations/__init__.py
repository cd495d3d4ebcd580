"""Which columns of a table depend on one another, and how."""

from superpose.tasks.relations.result import InnerFunction, Relation, Relations
from superpose.tasks.relations.search import relations

__all__ = ["InnerFunction", "Relation", "Relations", "relations"]
