"""What a command does, whole."""
