"""The table of open_clip's architectures: the page's is what the command finds."""

import pytest

from mcdrl_lab.benchmarks.clip_architectures import (
    Architecture,
    architecture_names,
    describe,
    markdown,
)
from mcdrl_lab.benchmarks.clip_architectures_command import BEGIN, END, table_of
from mcdrl_lab.commands import main


@pytest.fixture(scope='module')
def rows() -> list[Architecture]:
    return [describe(name) for name in architecture_names()]


@pytest.mark.timeout(600)
def test_the_pages_table_is_of_what_is_built_here(rows, repo_root):
    page = (repo_root / 'docs/own_clip.md').read_text(encoding='utf-8')
    assert table_of(page) == markdown(rows)


@pytest.mark.timeout(600)
def test_at_least_135_of_144_architectures_build(rows):
    assert len(rows) == 144
    assert sum(row.refusal is None for row in rows) >= 135
    assert all(row.modes for row in rows if row.refusal is None)


def test_a_refused_architecture_says_why():
    row = describe('vit_relpos_medium_patch16_cls_224')
    assert row.modes == ()
    assert "timm's VisionTransformerRelPos" in row.refusal
    assert 'refused: its image tower' in markdown([row])


def test_what_is_refused_counts_among_all_and_not_among_built():
    built = Architecture('a', 'ViT', 8, 'transformer, 77', '0.5', ('vanilla',))
    refused = Architecture('b', '-', 8, 'transformer, 77', '0.5', (), 'why')
    table = markdown([built, refused])
    assert table.startswith('1 of 2 build.')
    assert '| `a` | ViT | 8 | transformer, 77 | 0.5 | vanilla |' in table
    assert '| `b` | - | 8 | transformer, 77 | 0.5 | refused: why |' in table


def test_only_what_lies_between_the_marks_of_a_page_is_written(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(f'# Title\n\n{BEGIN}\nold\n{END}\n\nRest.\n')
    main(['clip-architectures', 'RN50', '--update', str(page)])
    text = page.read_text()
    assert text.startswith(f'# Title\n\n{BEGIN}\n\n1 of 1 build.\n')
    assert text.endswith(f'{END}\n\nRest.\n')
    assert '`RN50` | ModifiedResNet | 1024 | transformer, 77 | OpenAI | all |' in text


def test_a_page_without_marks_is_an_error(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# Title\n')
    with pytest.raises(SystemExit, match='expected the marks'):
        main(['clip-architectures', 'RN50', '--update', str(page)])
