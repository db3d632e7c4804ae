"""mediafm: films, episodes and clips as shot-level multimodal embeddings that know their context."""

__version__ = "0.1.0"
