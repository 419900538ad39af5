"""Evaluation of scores against accuracies after fine-tuning."""
