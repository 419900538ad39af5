"""Embeddings: one forward pass of one model over one data set, cached."""
