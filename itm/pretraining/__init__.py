"""Trains the embedded checkpoints: the mini pool from photographs (`flows/pretrain.py`), the first zoo from drawings (`drawn`).

Ranking needs none of this. It is here so that every embedded weight can be made again, and its history read.
"""
