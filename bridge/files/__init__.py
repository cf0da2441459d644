"""A partner's file: what it says, whatever its format, and what is wrong with it."""
