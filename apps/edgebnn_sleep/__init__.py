"""The bedside sleep monitor: `edgebnn-sleep`."""
