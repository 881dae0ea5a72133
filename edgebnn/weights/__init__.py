"""Models that ship with the package; `edgebnn.Model(NAME)` finds them here. Each carries its card."""
