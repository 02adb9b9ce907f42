"""What holds on to what a model knows while it learns something else."""
