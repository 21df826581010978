"""Convert CVC-ClinicDB to the common layout; see docs/datasets.md."""

import sys

from mcdrl_lab.data.converters.convert_command import run_tool
from mcdrl_lab.data.converters.sources.cvc_clinicdb import CVC_CLINICDB

if __name__ == '__main__':
    sys.exit(run_tool(CVC_CLINICDB))
