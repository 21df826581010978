"""Blocks of code fit beside a page's navigation and can be pasted."""

import itertools

_COLUMNS = 80


def _too_wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > _COLUMNS]


def _cut_by_a_comment(text: str) -> list[str]:
    """Comment lines that end a command although the line before continues."""
    lines = text.splitlines()
    return [
        line
        for before, line in itertools.pairwise(lines)
        if before.endswith('\\') and line.lstrip().startswith('#')
    ]


def test_code_fits_80_columns(shown_block):
    assert not _too_wide(shown_block.text)


def test_no_comment_interrupts_a_command(shown_block):
    assert not _cut_by_a_comment(shown_block.text)


def test_a_line_of_81_columns_is_found():
    assert _too_wide('x' * 80 + '\n' + 'y' * 81) == ['y' * 81]


def test_a_comment_inside_a_command_is_found():
    text = 'a \\\n    # why\n    --b\n# c\nd\n'

    assert _cut_by_a_comment(text) == ['    # why']
