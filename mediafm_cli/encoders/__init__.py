"""Built-in encoders that need no download, no key and no GPU: one file each, found by entry point."""
