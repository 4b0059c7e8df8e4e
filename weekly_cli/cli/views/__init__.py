"""What the commands show on a terminal, a module each: results in, rich's renderables or text out."""
