"""The council side: partner files in, checked, identities into the vault, sealed packages out."""
