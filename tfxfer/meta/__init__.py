"""Learning to learn: weights from which a few examples go further."""
