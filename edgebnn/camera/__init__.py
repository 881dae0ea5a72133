"""Frame sources behind one interface."""
