"""Object storage: paths of objects, and the store that publishes an output there."""
