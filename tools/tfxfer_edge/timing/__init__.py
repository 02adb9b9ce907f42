"""How fast files run, here and on a phone."""
