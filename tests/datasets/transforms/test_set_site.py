import pytest
from mmseg.registry import TRANSFORMS


def test_site_is_put_into_the_results_beside_what_is_there():
    results = TRANSFORMS.build(dict(type='SetSite', site='drive'))(dict(img_path='a'))
    assert results == dict(img_path='a', site='drive')


@pytest.mark.parametrize('site', ['', ' ', None])
def test_site_without_name_is_refused(site):
    with pytest.raises(ValueError, match='must be a non-empty string'):
        TRANSFORMS.build(dict(type='SetSite', site=site))
