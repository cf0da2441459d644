"""What passes between the zones: sealed packages, how they are opened, and the schema of the link keys in
them."""
