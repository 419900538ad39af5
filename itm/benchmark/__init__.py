"""Published pools of checkpoints and data sets, run by the same pipeline as `itm rank` and set beside published accuracies.

A definition says what belongs to it (`itm20`), `in_place` what of it is here, `run` what comes out. Accuracies of others are
never part of this package: they are read from a file that the user names.
"""
