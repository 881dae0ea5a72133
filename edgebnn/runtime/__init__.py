"""Inference on the device: numpy, OpenCV and a stock LiteRT interpreter."""
