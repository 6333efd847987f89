"""Studies of runs: what differs, what each dial does, what a missing kernel costs, and why."""
