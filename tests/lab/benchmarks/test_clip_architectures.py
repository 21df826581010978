"""The table of open_clip's architectures on the page is that of the command."""

from mcdrl_lab.benchmarks.clip_architectures import (
    Architecture,
    architecture_names,
    describe,
    markdown,
)
from mcdrl_lab.benchmarks.clip_architectures_command import BEGIN, END, table_of
from mcdrl_lab.commands import main

SOME = (
    'coca_ViT-B-32',
    'convnext_base',
    'EVA02-B-16',
    'MobileCLIP-S1',
    'PE-Core-T-16-384',
    'RN50',
    'ViT-B-16-SigLIP2',
    'ViT-L-14-CLIPA',
    'ViTamin-S',
    'vit_relpos_medium_patch16_cls_224',
)


def test_rows_of_the_page_equal_those_of_the_command(repo_root):
    """A sample; tests/integration/test_clip_architectures.py checks all rows."""
    page = (repo_root / 'docs/own_clip.md').read_text(encoding='utf-8')
    rows = markdown(describe(name) for name in SOME).splitlines()[4:]
    assert len(rows) == len(SOME)
    assert set(rows) <= set(table_of(page).splitlines())


def test_the_page_lists_all_architectures_of_open_clip(repo_root):
    page = (repo_root / 'docs/own_clip.md').read_text(encoding='utf-8')
    names = [line.split('`')[1] for line in table_of(page).splitlines()[4:]]
    assert names == architecture_names()
    assert len(names) == 144


def test_a_refused_architecture_is_listed_with_the_reason():
    row = describe('vit_relpos_medium_patch16_cls_224')
    assert row.modes == ()
    assert "timm's VisionTransformerRelPos" in row.refusal
    assert 'refused: its image tower' in markdown([row])


def test_refused_architectures_count_in_the_total_but_not_as_built():
    built = Architecture('a', 'ViT', 8, 'transformer, 77', '0.5', ('vanilla',))
    refused = Architecture('b', '-', 8, 'transformer, 77', '0.5', (), 'why')
    table = markdown([built, refused])
    assert table.startswith('1 of 2 build.')
    assert '| `a` | ViT | 8 | transformer, 77 | 0.5 | vanilla |' in table
    assert '| `b` | - | 8 | transformer, 77 | 0.5 | refused: why |' in table


def test_only_the_text_between_the_marks_of_a_page_is_replaced(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(f'# Title\n\n{BEGIN}\nold\n{END}\n\nRest.\n')
    main(['clip-architectures', 'RN50', '--update', str(page)])
    text = page.read_text()
    assert text.startswith(f'# Title\n\n{BEGIN}\n\n1 of 1 build.\n')
    assert text.endswith(f'{END}\n\nRest.\n')
    assert '`RN50` | ModifiedResNet | 1024 | transformer, 77 | OpenAI | all |' in text


def test_a_page_without_marks_is_refused_and_stays_unchanged(tmp_path, capsys):
    page = tmp_path / 'page.md'
    page.write_text('# Title\n')
    assert main(['clip-architectures', 'RN50', '--update', str(page)]) == 2
    assert 'expected the marks' in capsys.readouterr().err
    assert page.read_text() == '# Title\n'
