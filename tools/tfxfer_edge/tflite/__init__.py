"""A `.tflite` file: its graph, its metadata, and what runs it."""
