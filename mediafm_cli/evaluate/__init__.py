"""Measure what context adds: predictors of a hidden shot, scores, and the ablation that compares them."""
