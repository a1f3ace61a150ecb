"""Groups of rows that no label tells."""
