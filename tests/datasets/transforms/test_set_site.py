import pytest
from mmseg.registry import TRANSFORMS


def test_the_site_is_added_to_the_results():
    results = TRANSFORMS.build(dict(type='SetSite', site='drive'))(dict(img_path='a'))
    assert results == dict(img_path='a', site='drive')


@pytest.mark.parametrize('site', ['', ' ', None])
def test_a_site_without_a_name_is_refused(site):
    with pytest.raises(ValueError, match='must be a non-empty string'):
        TRANSFORMS.build(dict(type='SetSite', site=site))
