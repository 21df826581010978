import pytest

from mcdrl_common.tracked import tracked


def test_items_keep_their_order_and_no_bar_is_shown_without_a_terminal(capsys):
    assert list(tracked(iter('abc'), 'letters', total=3)) == ['a', 'b', 'c']
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize('shown', [True, False])
def test_a_bar_is_shown_on_stderr_of_a_terminal_unless_switched_off(
    monkeypatch, capsys, shown
):
    monkeypatch.setenv('FORCE_COLOR', '1')
    assert list(tracked(range(3), 'numbers', shown=shown)) == [0, 1, 2]
    out, error = capsys.readouterr()
    assert out == ''
    assert ('numbers' in error) == shown
