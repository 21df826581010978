import json
from pathlib import Path

import pytest

from mcdrl_common.findings import Finding
from mcdrl_common.image_copies import Fingerprint
from mcdrl_lab.data.converters.conversion_report import (
    between_sites,
    between_sites_markdown,
    json_text,
    markdown_text,
    site_report,
)
from mcdrl_lab.data.converters.site_building import BuiltSite
from mcdrl_lab.data.converters.source import FoundSite
from mcdrl_lab.data.converters.sources import kvasir_seg


def row(image, classes, sequence='', size=('48', '64')):
    return dict(
        image=image,
        classes=classes,
        sequence=sequence,
        patient='',
        height=size[0],
        width=size[1],
    )


@pytest.fixture
def report():
    rows = [
        row('s/images/a.jpg', 'polyp;cyst', 'v1'),
        row('s/images/b.jpg', 'polyp', 'v1'),
        row('s/images/c.jpg', '', 'v2', ('10', '20')),
    ]
    problems = [
        Finding('size mismatch', 'z.png', 'too small'),
        Finding('missing mask', 'y.jpg', 'none'),
        Finding('missing mask', 'z.png', 'none'),
    ]
    notes = [Finding('renamed', f'{n:02d}.jpg', 'x') for n in range(25)]
    fingerprints = {r['image']: Fingerprint(n, '00' * 32) for n, r in zip('123', rows)}
    found = FoundSite('s', ('polyp', 'cyst'), images=5, masks=4)
    built = BuiltSite(found, Path('s'), rows, problems, notes, fingerprints)
    return site_report(kvasir_seg.SOURCE, built, ['a.zip'], 9)


def test_the_report_counts_files_pairs_problems_classes_and_sizes(report):
    assert report['counts'] == {
        'image files in the input': 9,
        'images found': 5,
        'masks found': 4,
        'good pairs': 3,
        'files with problems': 2,
        'empty masks': 1,
        'sequences': 2,
        'patients': 0,
        'images with cyst': 1,
        'images with polyp': 2,
    }
    assert report['sizes (height x width)'] == {'10 x 20': 1, '48 x 64': 2}
    assert report['empty_masks'] == ['s/images/c.jpg']


def test_the_json_file_holds_the_whole_report(report):
    assert json.loads(json_text(report)) == report


def test_the_markdown_file_names_all_problems_and_the_first_notes(report):
    text = markdown_text(report, refused=False)
    assert '## Files left out (3)' in text
    assert '- missing mask: `y.jpg`: none' in text
    assert '- 19.jpg: x' in text
    assert '- 20.jpg: x' not in text
    assert '- and 5 more, in the JSON file' in text


def test_a_refused_report_has_no_config_entry(report):
    assert '## In a config' in markdown_text(report, refused=False)
    refused = markdown_text(report, refused=True)
    assert '## In a config' not in refused
    assert '## Problems (3)' in refused


def test_only_duplicate_groups_that_span_sites_are_reported_between_sites():
    fingerprints = {
        'a': {'a/1': Fingerprint('x', '00' * 32), 'a/2': Fingerprint('x', '00' * 32)},
        'b': {'b/1': Fingerprint('y', 'ff' * 32), 'b/2': Fingerprint('y', 'ff' * 32)},
        'c': {'c/1': Fingerprint('x', '00' * 32)},
    }
    report = between_sites(fingerprints, ['d'])
    assert report['exact_duplicates'] == [['a/1', 'a/2', 'c/1']]
    assert report['near_duplicates'] == []
    text = between_sites_markdown(report)
    assert 'a/1 = a/2 = c/1' in text
    assert 'no report: d' in text
