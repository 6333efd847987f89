"""Tuning: tiles of generated kernels searched with a cost model, and kept in a database."""
