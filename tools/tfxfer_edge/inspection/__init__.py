"""What a model file holds: its ends, its operators, and what on a phone would not take them."""
