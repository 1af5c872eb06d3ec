"""The usage actor: admission, and the record of every turn."""
