"""Tests of the delegate: a grid of small models, the oracles that judge it, golden models, hostile files."""
