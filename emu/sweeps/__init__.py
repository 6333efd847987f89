"""Sweeps: a plan of points, a journal of what is priced, a pool that prices, and Parquet."""
