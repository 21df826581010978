"""Public data sets, brought into one layout with one index.

``engine`` runs a conversion; a module of ``sources`` describes each data set; the
others hold one step each. Nothing here needs MMSegmentation or PyTorch.
"""

from mcdrl_common.findings import ConversionError
from mcdrl_lab.data.site_index import COLUMNS, read_index

from .engine import Options, convert
from .publishing import Outcome

__all__ = [
    'COLUMNS',
    'ConversionError',
    'Options',
    'Outcome',
    'convert',
    'read_index',
]
