import pytest

from mcdrl_common.sites import Site, SiteDataError, check_classes


@pytest.mark.parametrize('values', [[True], {float('inf'): 'polyp'}, {'a': 'polyp'}, 5])
def test_mask_values_that_do_not_map_numbers_to_classes_are_refused(values):
    with pytest.raises(SiteDataError, match='give a dict from numbers to classes'):
        Site.from_cfg(dict(name='a', mask_values=values))


@pytest.mark.parametrize('name', ['normal', 'healthy', 'bg', 'Background'])
def test_a_background_of_another_name_is_not_taken_for_a_lesion(name):
    values, told = {0: name, 1: 'polyp'}, f"calls 0 '{name}', and nothing 'background'"
    for lesions in (['polyp'], ['polyp', name]):
        with pytest.raises(SiteDataError, match=told):
            Site.from_cfg(dict(name='a', lesion_classes=lesions, mask_values=values))
    with pytest.raises(SiteDataError, match=f"or call '{name}' 'background' if"):
        check_classes((name, 'polyp'), 255)


@pytest.mark.parametrize(
    'values',
    [
        {0: 'polyp', 255: 'background'},
        # Only lesions are marked; what the rest is nobody says.
        {0: 'ignore', 1: 'polyp'},
        {1: 'polyp', 2: 'background'},
    ],
)
def test_another_value_than_0_may_be_the_background(values):
    site = dict(name='a', lesion_classes=['polyp'], mask_values=values)
    assert Site.from_cfg(site).mask_values == values
