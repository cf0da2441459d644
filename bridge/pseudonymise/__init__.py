"""Checked rows to sealed packages: references, identities, link keys."""
