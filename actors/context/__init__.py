"""The context actor: sessions, and what of them a request carries."""
