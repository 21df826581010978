"""Data sets: converters, and the command that verifies and corrects them."""
