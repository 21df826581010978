"""Metrics per site and per lesion type; importing registers ``SiteLesionMetric``."""

from mcdrl_common.image_records import read_records, write_records
from mcdrl_common.site_scores import aggregate, summarise, worst_site

from .image_record import image_record
from .site_lesion_metric import SiteLesionMetric

__all__ = [
    'SiteLesionMetric',
    'aggregate',
    'image_record',
    'read_records',
    'summarise',
    'worst_site',
    'write_records',
]
