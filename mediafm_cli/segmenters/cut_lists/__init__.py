"""Lists of cuts that others made: one reader per format, and where on a title's frames the cuts fall."""
