"""Decision trees: single, averaged and boosted."""
