"""Linear probes: what of a clip's labels can be read from flat and contextual vectors."""
