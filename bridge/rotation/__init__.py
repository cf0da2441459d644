"""Epochs and storage keys, turned."""
