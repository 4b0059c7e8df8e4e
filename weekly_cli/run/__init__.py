"""A run: what there is to do, which process does it, and the results."""
