import argparse
import os
import signal

import pytest

from mcdrl_common.mask_format import MaskError
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError, ends_in_one_line, errors_in_one_line

NO_ARGUMENTS = argparse.Namespace()


def test_the_return_value_of_a_command_is_its_exit_code():
    assert ends_in_one_line(lambda args: 1)(NO_ARGUMENTS) == 1


def test_unusable_input_ends_with_a_one_line_error_and_code_2(capsys):
    @ends_in_one_line
    def run(args):
        raise ProtocolError('no such method: full.')

    assert run(NO_ARGUMENTS) == 2
    assert capsys.readouterr().err == 'error: no such method: full.\n'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_ends_the_command_with_code_130(number, capsys):
    before = signal.getsignal(signal.SIGTERM)

    @ends_in_one_line
    def run(args):
        os.kill(os.getpid(), number)

    assert run(NO_ARGUMENTS) == 130
    assert capsys.readouterr().err.startswith('stopped; ')
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_stop_signal_while_a_class_is_created_ends_with_code_130(capsys):
    """As may happen in an import; Python 3.11 raises a RuntimeError from it."""

    class Attribute:
        def __set_name__(self, owner, name):
            os.kill(os.getpid(), signal.SIGTERM)

    @ends_in_one_line
    def run(args):
        type('Imported', (), dict(attribute=Attribute()))

    assert run(NO_ARGUMENTS) == 130
    assert capsys.readouterr().err.startswith('stopped; ')


def test_an_error_raised_while_stopping_keeps_its_traceback():
    @ends_in_one_line
    def run(args):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyError('x')  # noqa: B904

    with pytest.raises(KeyError):
        run(NO_ARGUMENTS)


def test_an_unexpected_error_keeps_its_traceback():
    @ends_in_one_line
    def run(args):
        raise KeyError('x')

    with pytest.raises(KeyError):
        run(NO_ARGUMENTS)


def test_a_command_under_nohup_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        @ends_in_one_line
        def run(args):
            os.kill(os.getpid(), signal.SIGHUP)
            return 0

        assert run(NO_ARGUMENTS) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('second', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_does_not_interrupt_the_cleanup(second):
    ended = []

    @ends_in_one_line
    def run(args):
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), second)
            ended.append(True)

    assert run(NO_ARGUMENTS) == 130
    assert ended == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_only_input_errors_and_the_named_types_end_in_one_line(capsys):
    def fail(args):
        raise args.error

    run = errors_in_one_line(ValueError)(fail)
    assert run(argparse.Namespace(error=ValueError('too small'))) == 2
    assert run(argparse.Namespace(error=MaskError('x.png: a colour mask'))) == 2
    assert capsys.readouterr().err.splitlines() == [
        'error: too small',
        'error: x.png: a colour mask',
    ]
    with pytest.raises(RuntimeError):
        run(argparse.Namespace(error=RuntimeError('a fault')))


@pytest.mark.parametrize(
    'command',
    [
        'report {there}/none',
        'plot-run {there}/none',
        'convert folder {there}/none --site s --out {there}/sites',
        'compare {there}/none a b',
        'serve {there}/none.pth --port 70000',
    ],
    ids=lambda command: command.split()[0],
)
def test_commands_report_unusable_input_in_one_line(command, tmp_path, capsys):
    assert main(command.format(there=tmp_path).split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ')
