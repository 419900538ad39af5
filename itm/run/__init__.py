"""From data sets and a zoo to outcomes: plan, cache lookup, limits, stages, executors and the engine."""
