"""Where things live and how they are kept: the home folder, keys, encrypted DuckDB stores and their locks."""
