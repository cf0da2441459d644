"""Code location `bridge`: the council zone, where files are loaded, checked, pseudonymised and sealed."""
