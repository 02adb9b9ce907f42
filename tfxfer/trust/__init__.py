"""Whether a result can be trusted, why, and what to do next: measures and decisions."""
