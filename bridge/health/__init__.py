"""The health of the feeds, for the partners and the council."""
