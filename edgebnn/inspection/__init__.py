"""What is inside a .tflite: operators, sizes, work."""
