"""Convert the models of the embedded engine to ONNX: `python -m tools.weights`."""
