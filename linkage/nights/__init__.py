"""One night's linkage beside the nights before it."""
