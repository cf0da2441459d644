"""Models apart from the night: trained, compared with the one in use, adopted."""
