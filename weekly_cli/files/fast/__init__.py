"""Parquet files put together from parts, for what Arrow's writer takes too long for or can't do."""
