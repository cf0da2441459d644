"""Clerical review: samples, verdicts, estimates; never an identity."""
