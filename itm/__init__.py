"""Which pre-trained vision model should I fine-tune for my data?

The steps are modules, in the order in which data goes through them: `itm.data`, `itm.zoo`, `itm.extract`, `itm.scoring`,
`itm.rank`, `itm.report`; `itm.pipeline` does them all. A score of arrays alone is
`itm.scores.evaluate("itm", features, labels)`. Importing this package imports none of them.
"""
