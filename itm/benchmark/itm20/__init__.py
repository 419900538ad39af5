"""The benchmark of the ITM paper: ranked like `itm rank`, and compared with published accuracies."""
