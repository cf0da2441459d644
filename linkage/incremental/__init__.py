"""A night that links only what changed, with the people that linking all records anew would give."""
