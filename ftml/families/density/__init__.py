"""Densities of samples."""
