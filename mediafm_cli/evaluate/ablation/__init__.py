"""What context and each modality are worth to a model."""
