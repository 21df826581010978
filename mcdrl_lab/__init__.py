"""What surrounds an experiment: data, plans, results, benchmarks, pages."""
