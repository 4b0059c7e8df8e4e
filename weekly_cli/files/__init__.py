"""Paths and files: the only room that opens a path."""
