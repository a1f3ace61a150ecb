"""Low-dimensional representations of samples."""
