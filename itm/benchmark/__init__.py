"""Evidence: how well scores order models, judged by accuracies after fine-tuning."""
