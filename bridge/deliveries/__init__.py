"""Deliveries: registered, loaded, checked, and what was refused."""
