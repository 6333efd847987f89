"""Lock-in: stacks of parts, the contracts between them, and what stops a substitution."""
