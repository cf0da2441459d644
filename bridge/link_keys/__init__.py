"""Identities as keyed tokens and filters."""
