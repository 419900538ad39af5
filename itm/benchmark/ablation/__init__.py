"""Ablation of ITM: one option is varied at a time."""
