from made_data import download, make
from made_sites import draw, sites
