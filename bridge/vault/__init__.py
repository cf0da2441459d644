"""Who a record is, encrypted, one data key each."""
