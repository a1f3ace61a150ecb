"""Rows as sums of a few parts."""
