"""The stores, on one SQLite database."""
