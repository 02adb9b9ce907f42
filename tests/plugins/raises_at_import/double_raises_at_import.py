"""Raises, after having printed what would spoil a JSON document on stdout."""

print("noise at import")
raise RuntimeError("this double cannot be imported")
