"""Whether a file is as good as the model it was made of, on real images."""
