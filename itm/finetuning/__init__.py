"""Fine-tuning: the accuracies that a ranking predicts, to confirm its first models or as ground truth of a benchmark."""
