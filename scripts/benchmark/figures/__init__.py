"""Each figure in a file of its own."""
