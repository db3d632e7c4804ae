"""Built-in encoders, one file each, found by entry point; each imports its libraries in ``load`` or later."""
