"""What is known of each mail domain: facts, look-up, providers, lanes."""
