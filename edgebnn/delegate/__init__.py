"""The TFLite delegate (C++) and the code that finds and loads it."""
