"""What differs between tasks: how targets are read, split, predicted and measured."""
