"""Code location `analytics`: the pseudonymous zone, from sealed packages to published marts."""
