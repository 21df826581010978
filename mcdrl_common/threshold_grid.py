"""The thresholds at which records say how much of the lesions is missed."""

THRESHOLDS = (
    *(step / 1000 for step in range(10)),
    *(step / 100 for step in range(1, 101)),
)
"""0.000 to 0.010 in steps of 0.001, then to 1.00 in steps of 0.01: networks that are
sure of themselves give most of what they miss a probability near 0."""
