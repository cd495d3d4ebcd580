"""Laws searched for in a table itself: structure first, then terms, then constants."""
