"""Kernel libraries: what can compute a group, how, and as which tile programs. Imports emu.ir."""
