"""Linkage against a known truth."""
