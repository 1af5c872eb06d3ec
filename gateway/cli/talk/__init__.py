"""A conversation at a terminal: the link to the gateway, the turns, the keyboard, the commands."""
