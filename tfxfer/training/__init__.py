"""A schedule run with `model.fit`, phase by phase, on cached activations."""
