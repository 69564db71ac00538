"""What a model may call between a turn's beginning and its end: memory, asked for and corrected."""
