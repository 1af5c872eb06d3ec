"""What a request weighs, and which part of a history has room."""
