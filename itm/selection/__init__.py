"""Select a model under a budget: fine-tune where it still matters, and say how sure the answer is."""
