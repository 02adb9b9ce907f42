"""A model becomes a file: sources, one frozen graph, recipes, and the programs that quantize."""
