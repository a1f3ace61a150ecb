"""Solvers of one convex problem, so that their curves stand in one chart."""
