"""A ranking as a terminal table, as figures and as one page, and what other views share with it."""
