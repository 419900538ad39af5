"""The pool of the ITM paper, run by the same pipeline as `itm rank` and compared with published accuracies."""
