import json

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.stock_models.sweep_table import BEGIN, END, make_table, write_table


def record(key, status, configs, reason='', size=64):
    return dict(
        key=key,
        status=status,
        reason=reason,
        configs=configs,
        size=size,
        mmseg='1.4.2',
        date='2026-11-28',
    )


RECORDS = [
    record('a', 'broken', ['fcn/one.py', 'fcn/two.py'], 'ValueError: wrong'),
    record('b', 'refused', ['san/one.py'], 'it is CLIP itself.'),
    # Tried again: this record counts.
    record('a', 'ok', ['fcn/one.py', 'fcn/two.py']),
    record('c', 'not built', ['fcn/three.py'], 'no module.'),
]
TABLE = """\
4 configs with 3 different models: 2 ok, 1 refused, 0 broken, 1 not built. \
Tried with MMSegmentation 1.4.2 on 2026-11-28 (3 models).

| configs of | ok | refused | broken | not built |
|---|---|---|---|---|
| `fcn` | 2 |  |  | 1 |
| `san` |  | 1 |  |  |
| all | 2 | 1 |  | 1 |

- not built, 1 of `fcn`: no module.

- refused, 1 of `san`: it is CLIP itself."""


def test_configs_are_counted_by_method_and_the_last_record_of_a_model_counts():
    assert make_table(RECORDS) == TABLE


def test_models_tried_at_another_size_are_listed():
    larger = [record('d', 'ok', ['lraspp/a.py'], size=416)]
    (first, *_) = make_table(RECORDS + larger).splitlines()
    assert first.endswith('Images of 64 pixels; models 1 of `lraspp` at 416.')


@pytest.fixture
def records(tmp_path):
    path = tmp_path / 'records.jsonl'
    path.write_text(''.join(f'{json.dumps(line)}\n' for line in RECORDS))
    return path


def test_the_table_replaces_the_previous_one_and_nothing_else(records, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(f'before\n{BEGIN}\nold\n{END}\nafter\n')
    write_table(records, page)
    assert page.read_text() == f'before\n{BEGIN}\n{TABLE}\n{END}\nafter\n'


def test_page_without_marks_and_missing_records_are_errors(records, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('nothing')
    with pytest.raises(ProtocolError, match='lacks the lines'):
        write_table(records, page)
    with pytest.raises(ProtocolError, match='sweep-stock run'):
        write_table(tmp_path / 'none.jsonl', page)


def test_page_in_the_repository_has_the_table_of_its_records(repo_root):
    page = repo_root / 'docs/own_backbone.md'
    lines = (repo_root / 'docs/evidence/stock_models.jsonl').read_text().splitlines()
    assert make_table(map(json.loads, lines)) in page.read_text()
