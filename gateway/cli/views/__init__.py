"""How messages look in a terminal: a message in, something that rich can print out."""
