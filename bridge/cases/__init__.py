"""Alerts that came back, and the door that says whose they are."""
