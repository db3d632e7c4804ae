"""Measure what context adds and how shots are found: ablations, linear probes, and boundaries beside true ones."""
