"""Everything around an experiment: data, plans, results, benchmarks, web pages."""
