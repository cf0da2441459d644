"""Pairs of records: which are compared, what of them, and what it weighs."""
