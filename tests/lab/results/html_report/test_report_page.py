import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from mcdrl_common.written_files import OutputError
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.html_report.report_page import (
    ReportOptions,
    build_content,
    render,
    write_page,
)
from mcdrl_lab.results.html_report.report_source import ReportSource
from mcdrl_lab.results.html_report.run_pictures import RunPictures

_VOID = {'meta', 'img', 'br'}


class Page(HTMLParser):
    """Checks the nesting of tags, and keeps the sources, ids and links of the page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.ids, self.links = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.sources += [attrs[k] for k in ('src', 'srcset', 'data') if k in attrs]
        self.ids += [attrs['id']] if 'id' in attrs else []
        self.links += [attrs['href']] if 'href' in attrs else []
        if tag == 'img':
            assert attrs['alt']
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def source(tmp_path, make_record):
    records = [
        make_record(method, site, dice=dice)
        for method, dice in (('base', (0.2, 0.4, None)), ('mcdrl', (0.3, 0.5, None)))
        for site in ('s1', 's2')
    ]
    return ReportSource(tmp_path, records, {}, is_plan=True)


@pytest.fixture
def pictures():
    picture = np.full((30, 40, 3), 90, np.uint8)
    attention = np.array([[0.25, 0.75], [0.5, 0.5]])
    return {
        's1': RunPictures(
            dict(best=picture, worst=picture),
            attention,
            ('glare', 'blur'),
            np.array([0.5, 0.5]),
            note='note: the gate of this checkpoint is 0.',
        )
    }


def test_page_is_well_formed_and_loads_nothing_from_outside(source, pictures):
    text = render(build_content(source, 'mcdrl', pictures))
    page = Page(text)
    assert page.sources and all(s.startswith('data:image/') for s in page.sources)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert not re.search(r'url\(|@import|<script|<link', text)


def test_page_shows_results_comparisons_cases_attention_data_and_versions(
    source, pictures
):
    content = build_content(source, 'mcdrl', pictures, ['s2: no checkpoint.'])
    text = render(content)
    assert len(content['summaries']) == len(content['results']) == 2
    assert len(content['comparisons']) == 1
    # Cases of s1 (two with a picture, the third image has no lesion), then of s2.
    drawn = [[bool(c['uri']) for c in group['cases']] for group in content['cases']]
    assert drawn == [[True, True], [False, False]]
    assert 'No picture of s2: no checkpoint.' in text
    assert 'Dice (%) of all methods' in text
    assert text.count('the gate of this checkpoint is 0.') == 1
    assert 'Mean attention to each named confounder' in text
    for phrase in ('+10.0', 'torch 2.0', 'configs/mcdrl.py', 'd' * 64, 'images/i0.jpg'):
        assert phrase in text
    assert content['no_curves'] == ['base', 'mcdrl']


def test_an_explanation_is_shown_only_with_its_own_case(source, pictures):
    figure = Figure(figsize=(1, 1))
    pictures['s1'].explanations['worst'] = figure
    content = build_content(source, 'mcdrl', pictures)
    cases = content['cases'][0]['cases']
    assert [case['explanation'] is not None for case in cases] == [
        case['name'] == 'worst' for case in cases
    ]
    text = render(content)
    Page(text)
    assert text.count('How the prediction of the worst case came about') == 1
    assert 'How the prediction of the best case' not in text


def test_text_of_records_notes_and_title_is_escaped(source, make_record):
    source.records.append(
        make_record(seed=9, status='failed', error='<script>alert(1)</script>')
    )
    text = render(build_content(source, 'mcdrl', {}, ['<b>&'], title='<i>title'))
    assert '<script' not in text and '<i>title' not in text
    assert '&lt;script&gt;alert(1)' in text and '&lt;b&gt;&amp;' in text
    Page(text)


def test_runs_that_cannot_be_compared_are_named_with_the_reason(source, make_record):
    source.records[0] = make_record('base', 's1', data_hash='e' * 64)
    content = build_content(source, 'mcdrl', {})
    assert content['comparisons'] == []
    assert 'differ in data' in content['not_compared'][0]
    assert 'Not compared: ' in render(content)


def test_oracle_rows_are_explained(source, make_record):
    assert build_content(source, 'mcdrl', {})['oracle_note'] is None
    source.records.append(make_record(seed=3, selection='oracle'))
    assert '† checkpoint chosen on' in render(build_content(source, 'mcdrl', {}))


def test_page_without_any_lesion_is_written(tmp_path, make_record):
    records = [make_record(dice=(None, None))]
    content = build_content(ReportSource(tmp_path, records, {}, True), 'mcdrl', {})
    text = render(content)
    Page(text)
    assert 'No tested image has a lesion.' in text


@pytest.fixture
def plan(tmp_path, source):
    for record in source.records:
        append_record(tmp_path / 'records.jsonl', record)
    return tmp_path


def test_report_of_a_plan_is_written_beside_its_records_and_can_be_made_again(plan):
    for _ in range(2):
        out = write_page(plan, options=ReportOptions(pictures=False, title='One'))
        assert out == plan / 'report.html'
    assert '<title>One</title>' in out.read_text()
    seen = sorted(p.name for p in plan.iterdir() if not p.name.startswith('.'))
    assert seen == ['records.jsonl', 'report.html']


def test_missing_checkpoints_are_noted_in_the_page(plan):
    text = write_page(plan, plan / 'a.html').read_text()
    assert (
        'No picture of s1: the tested checkpoint was not found; set it with '
        '--checkpoint.' in text
    )


def test_report_of_an_earlier_version_is_replaced(plan):
    earlier = plan / 'report.html'
    earlier.write_text('<meta name="generator" content="mcdrl_mmseg.reporting">')
    assert (
        '<title>' in write_page(plan, options=ReportOptions(pictures=False)).read_text()
    )


def test_file_that_is_not_a_report_is_left_alone(plan):
    mine = plan / 'mine.html'
    mine.write_text('precious')
    with pytest.raises(ProtocolError, match='exists and is not a report'):
        write_page(plan, mine)
    assert mine.read_text() == 'precious'
    with pytest.raises(ProtocolError, match='is a folder'):
        write_page(plan, plan)


def test_an_unwritable_output_path_is_refused_before_anything_is_drawn(plan):
    with pytest.raises(OutputError, match='jsonl is not a folder'):
        write_page(plan, plan / 'records.jsonl/a.html', ReportOptions(method='x'))


def test_the_report_of_another_plan_is_replaced_only_on_request(plan, tmp_path_factory):
    other = tmp_path_factory.mktemp('other')
    shutil.copy(plan / 'records.jsonl', other)
    out, options = plan / 'shared.html', ReportOptions(pictures=False)
    # A folder and its record file are the same plan.
    write_page(plan, out, options)
    write_page(plan / 'records.jsonl', out, options)
    before = out.read_text()
    with pytest.raises(OutputError, match=f'shared.html was made with {plan}'):
        write_page(other, out, options)
    assert out.read_text() == before
    write_page(other, out, options, overwrite=True)
    assert out.read_text() != before


def test_the_report_of_other_records_in_the_folder_is_left_alone(plan):
    shutil.copy(plan / 'records.jsonl', plan / 'other.jsonl')
    options = ReportOptions(pictures=False)
    out = write_page(plan, options=options)
    before = out.read_text()
    with pytest.raises(OutputError, match=f'was made with {plan}/records.jsonl'):
        write_page(plan / 'other.jsonl', options=options)
    assert out.read_text() == before


def test_the_report_of_a_moved_plan_is_replaced(plan, tmp_path_factory):
    options = ReportOptions(pictures=False)
    write_page(plan, options=options)
    moved = plan.rename(tmp_path_factory.mktemp('laptop') / 'plan')
    try:
        assert write_page(moved, options=options) == moved / 'report.html'
    finally:
        moved.rename(plan)


def test_unknown_method_is_an_error_that_names_the_known_ones(plan):
    with pytest.raises(ProtocolError, match="method 'x'; choose one of base, mcdrl"):
        write_page(plan, options=ReportOptions(method='x'))
