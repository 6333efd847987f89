"""How far the cost models are from published measurements, row by row."""
