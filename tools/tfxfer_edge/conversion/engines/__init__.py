"""The two programs that quantize: LiteRT Quantizer first, the TFLite converter second."""
