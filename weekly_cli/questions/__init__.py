"""Questions to a finished output: what it holds, why a value is what it is, what differs from another one."""
