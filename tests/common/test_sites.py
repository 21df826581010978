import pytest

from mcdrl_common.sites import Site, SiteDataError


@pytest.mark.parametrize('values', [[True], {float('inf'): 'polyp'}, {'a': 'polyp'}, 5])
def test_mask_values_that_name_no_numbers_are_refused(values):
    with pytest.raises(SiteDataError, match='give a dict from numbers to classes'):
        Site.from_cfg(dict(name='a', mask_values=values))
