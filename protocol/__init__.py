"""Pure rules and messages: no await, no trio, no third party but msgspec."""
