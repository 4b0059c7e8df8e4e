"""A run: what is to do, who does it, and what came of it."""
