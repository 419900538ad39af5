"""What a refresh adds to a ranking: what is recommended, what changed since the last one, and the history of all of them."""
