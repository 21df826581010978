"""The whole table of open_clip's architectures, each built on ``meta``."""

from mcdrl_lab.benchmarks.clip_architectures import (
    architecture_names,
    describe,
    markdown,
)
from mcdrl_lab.benchmarks.clip_architectures_command import table_of


def test_the_table_in_the_docs_is_that_of_the_installed_architectures(repo_root):
    rows = [describe(name) for name in architecture_names()]
    assert sum(row.refusal is None for row in rows) >= 135
    assert all(row.modes for row in rows if row.refusal is None)
    page = (repo_root / 'docs/own_clip.md').read_text(encoding='utf-8')
    assert table_of(page) == markdown(rows)
