"""An `.onnx` file: what it says of itself, whether it is whole, and what runs it."""
