"""Pretraining: sequences, optimisers, checkpoints and the loop."""
