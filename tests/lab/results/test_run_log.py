import dataclasses
import json
import os

import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.run_log import read_run_log, validation_table


def step(iteration, epoch, **values):
    return dict(loss=1.0, lr=0.1, epoch=epoch, iter=iteration, step=iteration, **values)


def validation(epoch, dice):
    return dict(mDice_fg=dice, step=epoch)


@pytest.fixture
def write(tmp_path):
    """Writes the log of one start of a run; starts follow the order of their names."""

    def write_start(name, *rows, torn=''):
        file = tmp_path / name / 'vis_data/scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text(''.join(json.dumps(row) + '\n' for row in rows) + torn)
        return tmp_path

    return write_start


def test_steps_and_validations_are_separate_with_a_common_axis_of_epochs(write):
    folder = write(
        '1',
        step(20, 1, gate=0.0),
        step(40, 1, gate=0.0),
        validation(1, 0.2),
        step(60, 2, gate=1.0),
        validation(2, 0.4),
    )
    log = read_run_log(folder)
    assert (log.unit, log.starts) == ('epoch', 1)
    assert log.training['progress'].tolist() == [0.5, 1.0, 1.5]
    assert log.training['gate'].tolist() == [0.0, 0.0, 1.0]
    assert log.validation['progress'].tolist() == [1, 2]
    assert log.best() == (2.0, 0.4)


def test_losses_are_listed_with_the_total_first(write):
    values = {'decode.loss_ce': 0.5, 'decode.acc_seg': 90.0, 'decode.loss_causal': 0.1}
    log = read_run_log(write('1', {**values, **step(1, 1)}))
    assert log.losses == ['loss', 'decode.loss_ce', 'decode.loss_causal']


def test_starts_of_a_resumed_run_are_joined_and_repeated_steps_count_once(write):
    first = [step(i, (i + 9) // 10) for i in range(5, 35, 5)]
    # Killed in epoch 4 after validating epochs 1 to 3; resumed from epoch 2.
    write(
        '1',
        *first[:2],
        validation(1, 0.1),
        *first[2:4],
        validation(2, 0.2),
        *first[4:],
        validation(3, 0.9),
        step(35, 4),
    )
    folder = write(
        '2', step(25, 3, loss_new=1), step(30, 3), validation(3, 0.3), step(35, 4)
    )
    log = read_run_log(folder)
    assert log.starts == 2
    assert log.training['iter'].tolist() == [5, 10, 15, 20, 25, 30, 35]
    assert log.training['loss_new'].notna().tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert log.validation['mDice_fg'].tolist() == [0.1, 0.2, 0.3]
    assert log.best() == (3.0, 0.3)


def test_validation_that_a_resumed_run_has_not_reached_again_is_dropped(write):
    write('1', step(10, 1), validation(1, 0.1), step(20, 2), validation(2, 0.9))
    log = read_run_log(write('2', step(15, 2)))
    assert log.validation['progress'].tolist() == [1]


def test_a_start_from_scratch_replaces_all_earlier_values(write):
    write('1', step(10, 1), validation(1, 0.9), step(20, 2))
    log = read_run_log(write('2', step(10, 1), validation(1, 0.1)))
    assert log.training['iter'].tolist() == [10]
    assert log.best() == (1.0, 0.1)


def test_logs_of_tests_in_the_same_folder_are_skipped(write):
    write('1', step(10, 1), validation(1, 0.5))
    log = read_run_log(write('2', dict(mDice_fg=0.7, step=0)))
    assert log.validation['mDice_fg'].tolist() == [0.5]


def test_values_of_other_hooks_join_the_validation_of_their_step(write):
    folder = write(
        '1', step(10, 1), {'attention/a/blur': 0.5, 'step': 1}, validation(1, 0.5)
    )
    log = read_run_log(folder)
    assert log.validation.to_dict('records') == [
        {'progress': 1, 'attention/a/blur': 0.5, 'mDice_fg': 0.5}
    ]


def test_best_is_the_first_of_equal_scores_and_undefined_ones_do_not_count(write):
    rows = [validation(e, d) for e, d in enumerate((0.1, 0.4, 0.4), 1)]
    folder = write('1', step(10, 1), *rows, dict(mDice_fg=float('nan'), step=4))
    assert read_run_log(folder).best() == (2.0, 0.4)
    assert read_run_log(folder).best('mIoU_fg') is None


def test_table_of_runs_has_first_and_best_validation_and_their_means(write):
    folder = write('1', step(20, 1), validation(1, float('nan')), validation(2, 0.2))
    log = read_run_log(folder)
    write('2', step(60, 3), validation(3, 0.8), validation(4, 0.6))
    longer = read_run_log(folder)
    table = validation_table({'a': log, 'b': longer})
    assert table.loc['a'].tolist() == [0.2, 0.2, 2.0]
    assert table.loc['b'].tolist() == [0.2, 0.8, 3.0]
    assert table.loc['mean'].tolist() == pytest.approx([0.2, 0.5, 2.5])
    assert validation_table({'a': log}, 'mIoU_fg').isna().all(axis=None)


@pytest.mark.parametrize('metric', ['mHD95', 'site_mean/ECE', 'false_positive_rate'])
def test_the_best_error_or_distance_is_the_lowest(write, metric):
    rows = [{metric: value, 'step': n} for n, value in enumerate((9.0, 4.0, 7.0), 1)]
    log = read_run_log(write('1', step(10, 1), *rows))
    assert log.best(metric) == (2.0, 4.0)
    assert validation_table({'a': log}, metric).loc['a', 'best'] == 4.0


def test_the_mean_over_runs_is_undefined_if_one_has_no_validation(write):
    log = read_run_log(write('1', step(10, 1), validation(1, 0.2)))
    blind = dataclasses.replace(log, validation=log.validation[['progress']])
    table = validation_table({'a': log, 'b': blind})
    assert table.loc['a', 'best'] == 0.2
    assert table.loc[['b', 'mean']].isna().all(axis=None)


def test_run_that_counts_iterations_has_an_axis_of_iterations(write):
    rows = [dict(loss=1.0, iter=i, step=i) for i in (50, 100)]
    log = read_run_log(write('1', rows[0], dict(mDice_fg=0.3, step=50), rows[1]))
    assert log.unit == 'iteration'
    assert log.training['progress'].tolist() == [50, 100]
    assert log.validation['progress'].tolist() == [50]


def test_an_incomplete_last_line_is_left_out_and_any_other_bad_line_is_an_error(write):
    log = read_run_log(write('1', step(10, 1), torn='{"loss": 0.'))
    assert len(log.training) == 1
    assert log.validation.empty
    with pytest.raises(ProtocolError, match=r'scalars.json, line 1: not a JSON object'):
        read_run_log(write('2', 'text', step(10, 1)))


def test_folder_without_a_training_log_or_step_is_refused(tmp_path, write):
    with pytest.raises(ProtocolError, match=r'no \*/vis_data/scalars.json.*LocalVis'):
        read_run_log(tmp_path)
    with pytest.raises(ProtocolError, match='holds no training step yet'):
        read_run_log(write('1', validation(1, 0.5)))


@pytest.mark.reliability('bad input', 'a log of odd values, or a pipe in its place')
@pytest.mark.parametrize(
    ('line', 'problem'),
    [
        ('{"iter": "1", "loss": 1}', "'iter' is '1'"),
        ('{"iter": 1, "loss": [1]}', r"'loss' is \[1\]"),
        ('{"iter": ' + '1' * 400 + ', "loss": 1}', '400 digits'),
        ('{"step": null, "mDice_fg": 1}', "'step' is None"),
        ('[' * 90_000, 'nested'),
    ],
)
def test_a_log_value_that_is_not_a_number_is_named_in_the_error(write, line, problem):
    folder = write('1', step(10, 1), torn=line + '\n{}\n')
    with pytest.raises(ProtocolError, match=rf'scalars\.json, line 2: .*{problem}'):
        read_run_log(folder)


def test_a_named_pipe_in_place_of_a_log_is_refused_without_waiting(tmp_path):
    (tmp_path / '1/vis_data').mkdir(parents=True)
    os.mkfifo(tmp_path / '1/vis_data/scalars.json')
    with pytest.raises(ProtocolError, match=r'scalars\.json is not a regular file'):
        read_run_log(tmp_path)
