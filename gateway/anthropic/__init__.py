"""The model port, on the provider's own SDK."""
