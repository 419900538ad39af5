"""A ranking as a terminal table, as figures and as one HTML page, and the parts that other views share."""
