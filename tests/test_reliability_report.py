"""docs/reliability.md names every marked test and only tests that exist."""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest


@pytest.fixture(scope='module')
def report(repo_root):
    path = repo_root / 'tests' / 'reliability_report.py'
    spec = importlib.util.spec_from_file_location('reliability_report', path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(importlib.sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


def test_the_page_names_every_marked_test_of_this_session(report, request):
    page = report.PAGE.read_text(encoding='utf-8')
    rows = filter(None, map(report.row_of, request.session.items))
    lacking = sorted({row.markdown() for row in rows if row.markdown() not in page})
    assert not lacking, 'run make reliability: docs/reliability.md lacks these rows'


def test_every_test_named_on_the_page_exists(report, repo_root):
    page = report.PAGE.read_text(encoding='utf-8')
    named = re.findall(r'`(tests/\S+?\.py)::(\w+)`', page)
    assert named
    for file, function in named:
        path = repo_root / Path(file)
        assert path.is_file(), file
        assert f'def {function}(' in path.read_text(encoding='utf-8'), function


def test_no_row_of_the_page_has_a_failed_case(report):
    page = report.PAGE.read_text(encoding='utf-8')
    results = re.findall(r'\| (\d+) of (\d+)', page)
    assert results
    assert all(passed == ran for passed, ran in results)


def test_the_tables_count_cases_by_kind(report):
    rows = [
        report.Row('fault', 'a kill', 'tests/a.py::test_a', Counter(passed=3)),
        report.Row('fault', 'a cut', 'tests/a.py::test_b', Counter(passed=1, failed=1)),
        report.Row('numerics', 'zero', 'tests/c.py::test_c', Counter(skipped=2)),
    ]
    text = report.tables(rows)
    assert text.startswith('3 rows, 4 cases passed, 1 failed, 2 skipped.')
    assert '| a kill | `tests/a.py::test_a` | 3 of 3 |' in text
    assert '| a cut | `tests/a.py::test_b` | 1 of 2 |' in text
    assert '| zero | `tests/c.py::test_c` | 0 of 0, 2 skipped |' in text
    faults = text[text.index('## Faults') : text.index('## Determinism')]
    assert '2 rows, 4 cases passed.' in faults and 'zero' not in faults
