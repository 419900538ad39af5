"""Judges scores by what became of models after fine-tuning: on pools measured here, and on any table of accuracies."""
