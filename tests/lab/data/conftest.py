from made_data import (
    box_mask,
    clinic,
    download,
    make,
    out,
    read_mask,
    snapshot,
    three_pairs,
)
from made_sites import draw, sites
