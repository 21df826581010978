"""Convert CVC-ClinicDB to the common layout; see docs/datasets.md."""

import sys

from mcdrl_mmseg.datasets.converters.commands import run_tool
from mcdrl_mmseg.datasets.converters.sources.cvc_clinicdb import CVC_CLINICDB

if __name__ == '__main__':
    sys.exit(run_tool(CVC_CLINICDB))
