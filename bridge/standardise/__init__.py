"""Standard forms of names, dates, numbers and postcodes."""
