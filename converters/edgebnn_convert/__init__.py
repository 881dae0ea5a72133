"""Keras/Larq to .tflite through Larq Compute Engine, and the proof that the result is right. Workstation only."""
