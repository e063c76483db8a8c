"""Faults that somebody could make, and the tests that would tell."""
