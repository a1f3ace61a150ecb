"""Groups of samples, found without labels."""
