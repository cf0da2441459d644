"""The synthetic county against what is published and known."""
