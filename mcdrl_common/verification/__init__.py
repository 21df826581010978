"""Is a data set fit to be trained on? Everything wrong with it, at once.

``listing`` says what there is, ``facts`` what each file says about itself, ``rules``
and ``copies`` what is wrong with that, and ``verify`` puts them together.
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
