"""Whether the method that ``superpose compare`` names is the best one on rows that were held out."""
