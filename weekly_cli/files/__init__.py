"""Paths and files: the only package that opens a path."""
