"""The concurrent core: actors with private state, mailboxes and scopes."""
