"""Writers of predictions, one module per group of file types."""
