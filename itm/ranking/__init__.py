"""From feature files to a ranking: scoring, intervals, order, recommendation."""
