"""The input as tables with one schema: its columns, the location of its rows, and its keys."""
