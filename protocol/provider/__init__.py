"""The provider's language: its events, requests, content, and what its models can do."""
