"""The llm actor: turns and their steps."""
