"""Checkpoints: the finished stages of a run in a folder, from which a run that was killed goes on."""

from superpose.checkpoint.folder import Checkpoint

__all__ = ["Checkpoint"]
