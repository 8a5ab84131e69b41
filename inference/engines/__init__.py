"""What computes probabilities: OpenVINO, onnxruntime or Keras behind one small interface."""
