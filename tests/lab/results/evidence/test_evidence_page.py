import json
from pathlib import Path

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.evidence import evidence_blocks as blocks
from mcdrl_lab.results.evidence.compact_records import write_compact
from mcdrl_lab.results.evidence.evidence_page import EvidencePage
from mcdrl_lab.simulation.simulated_sites import Benchmark

DOCS = Path(__file__).resolve().parents[4] / 'docs'

PAGE = """# Results

Words before. <!-- evidence: scores sim -->
<!-- /evidence -->
Words between.

<!-- evidence: compare sim a -->
an old table
<!-- /evidence -->

Words after.
"""


@pytest.fixture
def write_page(tmp_path, two_methods):
    """Writes a page beside records of two methods, called ``sim``."""
    write_compact(two_methods, tmp_path / 'evidence/sim.jsonl.gz')

    def write(text):
        path = tmp_path / 'page.md'
        path.write_text(text)
        return EvidencePage(path)

    return write


def test_only_the_text_between_markers_is_rewritten(write_page, two_methods):
    page = write_page(PAGE)
    page.write()
    text = page.path.read_text()
    assert 'an old table' not in text
    between = text.split('-->\n\n')[1].split('\n<!-- /')[0]
    assert between == blocks.scores_block(two_methods)
    assert '| a - b ' in text
    for words in ('# Results\n\nWords before. ', '\nWords between.\n', 'after.\n'):
        assert words in text
    # Written again it is the same.
    assert page.render() == text


@pytest.mark.parametrize(
    ('ending', 'metric'),
    [('all_images', 'dice_all'), ('false_positives', 'false_positive')],
)
def test_markers_can_compare_all_images_or_false_positives(
    write_page, make_record, tmp_path, ending, metric
):
    records = [make_record(method, dice=[0.5, None]) for method in 'ab']
    write_compact(records, tmp_path / 'evidence/healthy.jsonl.gz')
    order = f'<!-- evidence: compare_{ending} healthy a b -->\n<!-- /evidence -->\n'
    expected = blocks.compare_block(records, 'a', ['b'], metric)
    assert expected in write_page(order).render()


@pytest.mark.parametrize(
    ('kind', 'metric'),
    [
        ('draws', 'dice'),
        ('draws_all_images', 'dice_all'),
        ('draws_false_positives', 'false_positive'),
    ],
)
def test_the_marker_of_draws_lists_the_records_of_each_draw(
    write_page, make_record, tmp_path, kind, metric
):
    records = [make_record(m, dice=[d, None]) for m, d in (('a', 0.5), ('b', 0.4))]
    write_compact(records, tmp_path / 'evidence/other.jsonl.gz')
    order = f'<!-- evidence: {kind} a b 1=other 2=other -->\n<!-- /evidence -->\n'
    draws = {'1': records, '2': records}
    expected = blocks.draws_block(draws, 'a', ['b'], metric)
    assert expected in write_page(order).render()


def test_lesion_classes_come_from_the_records_or_from_endosim(
    write_page, make_record, make_image, tmp_path
):
    benchmark = Benchmark(seed=5)
    lesions = [
        (number, scene.lesion.name)
        for number in range(20)
        if (scene := benchmark.scene('endosim_a', number)).lesion
    ]
    named, bare = [], []
    for method, dice in (('a', 0.5), ('b', 0.4)):
        images = [make_image(f'images/{n:05d}.png', dice) for n, _ in lesions]
        for image, (_, name) in zip(images, lesions):
            image['lesion_classes'] = [name]
        named.append(make_record(method, 'endosim_a', images=images))
        images = [{**image, 'lesion_classes': []} for image in images]
        bare.append(make_record(method, 'endosim_a', images=images))
    for name, records in (('named', named), ('bare', bare)):
        write_compact(records, tmp_path / f'evidence/{name}.jsonl.gz')
    expected = blocks.lesion_classes_block(named, 'a', 'b')
    assert '| nodule ' in expected

    def rendered(words):
        return write_page(f'<!-- evidence: {words} -->\n<!-- /evidence -->\n').render()

    assert expected in rendered('lesion_classes named a b')
    assert expected in rendered('lesion_classes bare a b 5')
    with pytest.raises(ProtocolError, match='no lesion_classes'):
        rendered('lesion_classes bare a b')
    with pytest.raises(ProtocolError, match='--seed 6'):
        rendered('lesion_classes bare a b 6')
    draws = blocks.draws_lesion_classes_block({'5': named}, 'a', 'b')
    assert draws in rendered('draws_lesion_classes a b 5=bare')


def test_missing_records_are_shown_as_not_measured_yet(write_page):
    text = write_page(
        '<!-- evidence: scores other -->\n<!-- /evidence -->\n'
        '<!-- evidence: invariance -->\n<!-- /evidence -->\n'
    ).render()
    assert 'Not measured yet: there is no evidence/other.jsonl.gz.' in text
    assert 'Not measured yet: there is no evidence/invariance.jsonl.' in text


@pytest.mark.parametrize('ending', ['', '_all_images'])
def test_the_figure_of_the_shift_is_drawn_only_when_the_page_is_written(
    write_page, ending
):
    page = write_page(
        f'<!-- evidence: shift{ending} a b 0=sim 1=sim -->\n<!-- /evidence -->\n'
    )
    page.render()
    picture = page.path.parent / f'images/evidence_shift{ending}_a_b.png'
    assert not picture.exists()
    page.write()
    assert picture.is_file()
    assert f'(images/{picture.name})' in page.path.read_text()


def test_settings_get_their_cost_from_the_latency_file(write_page):
    page = write_page('<!-- evidence: sweep sim a b a -->\n<!-- /evidence -->\n')
    (page.folder / 'latency.jsonl').write_text(
        '{"method": "b", "milliseconds": 7.0, "intervention_parameters": 5}\n'
    )
    row = next(r for r in page.render().splitlines() if r.startswith('| b '))
    assert '7.0' in row


def test_the_cost_of_another_network_with_the_same_name_is_not_used(
    write_page, make_record, tmp_path
):
    records = [make_record(m, dice=[0.5], model_hash=m * 64) for m in 'ab']
    write_compact(records, tmp_path / 'evidence/sweep.jsonl.gz')
    page = write_page('<!-- evidence: sweep sweep a b -->\n<!-- /evidence -->\n')
    own = dict(method='b', milliseconds=7.0, intervention_parameters=5)
    others = [dict(own, milliseconds=8.0, model_hash=m * 64) for m in 'ac']
    costs = page.folder / 'latency.jsonl'
    for line, shown in ((dict(own, model_hash='b' * 64), '7.0'), (own, '7.0')):
        costs.write_text(''.join(json.dumps(row) + '\n' for row in (line, *others)))
        (row,) = (r for r in page.render().splitlines() if r.startswith('| b '))
        assert shown in row


def test_costs_of_a_table_are_of_the_plan_that_measured_most_of_its_settings(
    write_page,
):
    """The methods of a plan take turns; another plan's row saw other load."""
    page = write_page('<!-- evidence: sweep sim a b a -->\n<!-- /evidence -->\n')
    rows = [
        dict(plan=plan, method=method, milliseconds=ms, intervention_parameters=5)
        for plan, method, ms in (
            ('old.yml', 'a', 5.0),
            ('old.yml', 'b', 6.0),
            ('depth.yml', 'a', 7.0),
            ('depth.yml', 'b', 8.0),
            ('width.yml', 'a', 9.0),
            ('width.yml', 'c', 9.5),
        )
    ]
    costs = page.folder / 'latency.jsonl'
    costs.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    b, a = (r for r in page.render().splitlines() if r.startswith(('| a ', '| b ')))
    assert ' 7.0 ' in a
    assert ' 8.0 ' in b


@pytest.mark.parametrize(
    'key, other', [('size', 64), ('device', 'NVIDIA H200'), ('machine', 'arm64')]
)
def test_costs_measured_under_different_conditions_are_refused(write_page, key, other):
    page = write_page('<!-- evidence: sweep sim a b a -->\n<!-- /evidence -->\n')
    own = dict(milliseconds=7.0, intervention_parameters=5, size=128, device='cpu')
    # The last row of a method counts, and none of a method outside the table.
    rows = [
        dict(method='b', **own | {key: other}),
        dict(method='c', **own | {key: other}),
        dict(method='a', **own),
        dict(method='b', **own),
    ]
    costs = page.folder / 'latency.jsonl'
    costs.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    assert page.render().count('7.0') == 2
    rows += rows[:1]
    costs.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    with pytest.raises(ProtocolError, match=f'b, a differ in {key} .{other}, '):
        page.render()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            '<!-- evidence: plot sim -->\n<!-- /evidence -->',
            "unknown kind of evidence 'pl",
        ),
        ("<!-- evidence: scores it's -->\n<!-- /evidence -->", 'No closing quotation'),
        ('<!-- evidence:  -->\n<!-- /evidence -->', "unknown kind of evidence ''"),
        ('<!-- evidence: scores sim -->\n', '1 markers start'),
        ('<!-- evidence: scores -->\n<!-- /evidence -->', 'wrong or missing'),
        ('<!-- evidence: compare sim c -->\n<!-- /evidence -->', 'no finished run of'),
        ('<!-- evidence: shift a b sim -->\n<!-- /evidence -->', 'wrong or missing'),
        ('<!-- evidence: draws 1=sim -->\n<!-- /evidence -->', 'wrong or missing'),
        ('<!-- evidence: presence sim a -->\n<!-- /evidence -->', 'wrong or missing'),
        ('<!-- evidence: presence sim a 1 -->\n<!-- /evidence -->', 'self_dice'),
        ('<!-- evidence: draws a -->\n<!-- /evidence -->', 'wrong or missing'),
    ],
)
def test_invalid_markers_are_refused_with_the_reason(write_page, text, message):
    with pytest.raises(ProtocolError, match=message):
        write_page(text).render()


def test_a_page_that_is_not_utf_8_is_named_in_the_error(write_page):
    page = write_page('')
    page.path.write_bytes('Größe'.encode('latin-1'))
    with pytest.raises(ProtocolError, match=r'page\.md: not UTF-8 text'):
        page.render()


@pytest.mark.parametrize(
    'name', ['', '_endosim', '_real_sites', '_drawn_conditions', '_tiny_clip']
)
def test_the_committed_pages_match_the_committed_records(name):
    page = EvidencePage(DOCS / f'evidence{name}.md')
    text = page.path.read_text(encoding='utf-8')
    assert page.render() == text, 'run python -m mcdrl_lab evidence write'
    for part in text.split('](images/evidence_')[1:]:
        assert (DOCS / 'images' / f'evidence_{part.partition(")")[0]}').is_file()


def test_the_main_page_has_at_most_3000_words():
    words = (DOCS / 'evidence.md').read_text(encoding='utf-8').split()
    assert len(words) <= 3000, len(words)


def test_every_page_of_evidence_is_written_by_the_command(
    monkeypatch, capsys, tmp_path
):
    (tmp_path / 'docs').mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(['evidence', 'write']) == 2
    assert 'no docs/evidence*.md here' in capsys.readouterr().err
    for name in ('evidence', 'evidence_more'):
        (tmp_path / 'docs' / f'{name}.md').write_text('# Words alone\n')
    main(['evidence', 'write'])
    assert capsys.readouterr().out.split() == [
        'docs/evidence.md',
        'docs/evidence_more.md',
    ]


def test_committed_records_are_smaller_than_2_mib():
    for path in (DOCS / 'evidence').glob('*'):
        assert path.stat().st_size < 2 * 2**20, path
