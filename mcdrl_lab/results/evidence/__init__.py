"""A page of results that is written from committed records."""

from .compact import write_compact
from .evidence_page import EvidencePage

__all__ = ['EvidencePage', 'write_compact']
