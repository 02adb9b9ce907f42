"""One page that shows a run to people."""
