"""From data sets and a zoo to outcomes: plan, cache lookup, limits, and the run loop."""
