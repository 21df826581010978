"""Benchmarks of what MCDRL costs, side by side with other models."""
