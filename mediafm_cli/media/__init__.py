"""Everything that reads media: container, probe, frames, sound and captions, all through PyAV."""
