"""Learning in phases: how much of the earlier phases a network keeps."""
