"""What records say: statistics, tables, pictures and pages."""
