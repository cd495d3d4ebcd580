"""Ten tables, what superpose says of each, and the page that shows them."""
