"""Keras + Larq networks; MODELS maps a recipe's model name to its builder."""
