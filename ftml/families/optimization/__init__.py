"""Solvers of one convex problem, whose curves can be compared in one chart."""
