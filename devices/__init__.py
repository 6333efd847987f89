"""Simulated devices: datasheets, cost models, drivers and the simulated clock. Imports emu.ir."""
