"""Tables: reading, checking, splitting and scaling."""

from superpose.data.dataset import Affine, Dataset, Split, read_csv, read_features

__all__ = ["Affine", "Dataset", "Split", "read_csv", "read_features"]
