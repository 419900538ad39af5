"""Which pre-trained vision model should I fine-tune for my data?

The packages, in the order in which data goes through them: `itm.data` and `itm.zoo`, `itm.features`, `itm.scores`,
`itm.ranking`, `itm.report`; `itm.run` does all of it. `itm.scores.evaluate("itm", features, labels)` scores one array.
Importing this package imports none of them.
"""
