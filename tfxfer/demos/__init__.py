"""The demos that the core brings, through the same door as everybody else's."""
