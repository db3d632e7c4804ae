"""Fusion, the transformer, masked shot modelling, and embedding in context. Nothing here knows an encoder by name."""
