"""The outside world and the wiring: one module for each third-party package."""

__version__ = "0.1.0"
