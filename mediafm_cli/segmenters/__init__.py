"""Built-in shot-boundary detectors, one per file, registered through the project's own entry points."""
