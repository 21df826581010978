"""A page of results that is written from committed records."""
