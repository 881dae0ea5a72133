"""Faces in front of a camera as a device service: `edgebnn-face`."""
