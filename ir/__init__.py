"""What flows through the stack: types, ops, graph, tile programs, device programs, text, passes."""
