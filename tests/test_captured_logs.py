"""What tests/conftest.py does about the loggers of MMEngine."""

import pytest
from mmengine.logging import print_log


@pytest.mark.parametrize('number', [1, 2])
def test_each_test_logs_to_its_own_output(number, capsys):
    """A logger that outlives its test would write to an output that is closed."""
    print_log('said', logger='current')
    out, err = capsys.readouterr()
    assert 'said' in out
    assert not err
