"""Weighed pairs to people: clusters, the second look, confidence, ids that stay."""
