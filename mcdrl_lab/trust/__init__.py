"""What can be said of a model at a hospital before anybody draws a mask there."""
