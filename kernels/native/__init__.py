"""Machine code for what takes the time: tiles of products, convolutions and pools, by numba."""
