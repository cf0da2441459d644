"""What may be done: feed contracts, sharing agreements, retention rules and use cases, read from `contracts/`."""
