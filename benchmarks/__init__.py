"""Measurements: never part of the tests, always several things in one run, written as JSON beside the
machine's name."""
