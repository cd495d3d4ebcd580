"""What a table is used for: regression, classification, relations among columns, differential equations."""
