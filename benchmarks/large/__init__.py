"""Tables of many rows or many columns: seconds against the limit, peak memory, and errors beside gradient boosting."""
