"""How probable rows are."""
