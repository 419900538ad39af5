"""Predict the accuracy after fine-tuning, from scores and facts first and from learning curves as they come in."""
