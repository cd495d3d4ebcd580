"""Tables from the history of science and from textbooks, and whether their formulas are found."""
