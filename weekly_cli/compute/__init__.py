"""Weekly bars and features, computed on arrays; this package knows no files and no datasets."""
