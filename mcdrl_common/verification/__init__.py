"""Finds all problems of a data set before a training.

``listing`` lists the files, ``facts`` reads facts about each file, ``rules`` and
``copies`` find problems in them, and ``verify`` runs all of these.
"""

from .listing import VerificationError, list_folder
from .verification_report import Report, as_text
from .verify import verify

__all__ = [
    'Report',
    'VerificationError',
    'as_text',
    'list_folder',
    'verify',
]
