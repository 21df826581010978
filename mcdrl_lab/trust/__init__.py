"""What can be said about a model at a new hospital without any masks from there."""
