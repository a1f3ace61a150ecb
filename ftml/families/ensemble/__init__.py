"""Decision trees, alone, averaged and boosted."""
