"""Evaluation of run records: statistics, tables, figures and pages."""
