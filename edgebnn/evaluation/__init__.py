"""Annotation readers and accuracy metrics (numpy only)."""
