"""Executing programs: the commands walked one to one, the reference, and what is compared."""
