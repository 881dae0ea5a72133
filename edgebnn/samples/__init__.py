"""A photograph with a known face for the demo and smoke runs; README.md names its source."""
