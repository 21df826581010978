"""Pages of results whose tables are generated from committed records."""
