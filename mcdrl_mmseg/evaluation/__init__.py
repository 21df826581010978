"""Metrics per site and per lesion type; importing registers ``SiteLesionMetric``."""

from .site_lesion_metric import SiteLesionMetric

__all__ = ['SiteLesionMetric']
