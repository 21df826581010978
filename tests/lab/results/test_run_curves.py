import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.run_curves import run_curves
from mcdrl_lab.results.run_log import RunLog


def make_log(validation=None, unit='epoch', **training):
    training = {
        'progress': [0.5, 1.0],
        'loss': [2.0, 1.0],
        'decode.loss_ce': [1.5, 0.8],
        'lr': [1e-3, 5e-4],
        **training,
    }
    if validation is None:
        validation = {'progress': [1, 2, 3], 'mDice_fg': [0.1, 0.4, 0.3]}
    return RunLog(pd.DataFrame(training), pd.DataFrame(validation), unit, 1)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_each_loss_the_gate_and_the_learning_rate_have_their_own_panel():
    figure = run_curves({'run': make_log(gate=[0.0, 1.0])})
    assert titles(figure) == [
        'loss, total',
        'decode.loss_ce',
        'gate',
        'learning rate',
        'validation mDice_fg (%)',
    ]
    (line,) = figure.axes[1].lines
    assert line.get_xydata().tolist() == [[0.5, 1.5], [1.0, 0.8]]


def test_a_single_logged_step_is_drawn_as_a_visible_point():
    one = dict(progress=[1.0], lr=[1e-3], **{'decode.loss_ce': [1.5]})
    markers = []
    for log in (make_log(loss=[2.0], **one), make_log()):
        (line,) = run_curves({'run': log}).axes[0].lines
        markers.append(line.get_marker())
    assert markers == ['.', 'None']


def test_a_run_without_a_gate_has_no_gate_panel():
    assert 'gate' not in titles(run_curves({'run': make_log()}))


def test_best_epoch_has_a_star_and_its_score_in_per_cent():
    axes = run_curves({'run': make_log()}).axes[-1]
    (star,) = [line for line in axes.lines if line.get_marker() == '*']
    np.testing.assert_allclose(star.get_xydata(), [[2, 40]])
    assert not star.get_clip_on(), 'a star at the edge would be cut off'
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert 'best: 40.0 at epoch 2' in labels


def test_a_single_run_is_also_drawn_site_by_site():
    validation = {
        'progress': [1, 2],
        'mDice_fg': [0.2, 0.3],
        'site/a/mDice_fg': [0.1, 0.2],
        'site/b/mDice_fg': [0.3, 0.4],
    }
    axes = run_curves({'run': make_log(validation)}).axes[-1]
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert lines['a'] == [10.0, 20.0]
    assert lines['b'] == [30.0, 40.0]


def test_several_runs_differ_in_colour_and_in_dashes_and_are_named_once():
    figure = run_curves({'one': make_log(), 'two': make_log()})
    first, second = figure.axes[0].lines
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['one', 'two']


def test_run_without_validation_is_drawn_with_a_note():
    axes = run_curves({'run': make_log({'progress': []})}).axes[-1]
    assert axes.texts[0].get_text() == 'no validation yet'


def test_unknown_metric_and_mixed_units_are_errors():
    with pytest.raises(
        ProtocolError, match="no metric 'mDise'; choose one of mDice_fg"
    ):
        run_curves({'run': make_log()}, 'mDise')
    with pytest.raises(ProtocolError, match='some of the runs count epochs'):
        run_curves({'a': make_log(), 'b': make_log(unit='iteration')})


def test_picture_is_written_to_the_work_folder_or_to_the_requested_file(
    tmp_path, capsys
):
    for name in ('a/seed0', 'a/seed1'):
        file = tmp_path / name / '1/vis_data/scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(dict(loss=1.0, epoch=1, iter=1)) + '\n')
    folders = [tmp_path / 'a/seed0', tmp_path / 'a/seed1']
    command = ['plot-run', *map(str, folders)]
    assert main(command) == 0
    *table, path = capsys.readouterr().out.splitlines()
    assert table[0] == 'validation mDice_fg (%)'
    assert [line.split()[0] for line in table[2:]] == ['seed0', 'seed1', 'mean']
    assert path == str(folders[0] / 'curves.png')
    with Image.open(path) as picture:
        assert picture.width > 1000
    out = tmp_path / 'new/two.pdf'
    assert main([*command, '--out', str(out)]) == 0
    assert out.read_bytes().startswith(b'%PDF')
    assert main([*command, '--out', str(tmp_path / 'two.xyz')]) == 2
    error = capsys.readouterr().err
    assert 'two.xyz: a picture needs one of the endings' in error


def test_validations_are_printed_in_per_cent_like_the_picture(tmp_path, capsys):
    file = tmp_path / 'run/1/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    rows = [dict(loss=1.0, epoch=1, iter=1), dict(mDice_fg=0.25, step=1)]
    file.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    assert main(['plot-run', str(tmp_path / 'run')]) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.split() == ['run', '25.0', '25.0', '1.0']


@pytest.fixture
def runs(tmp_path):
    """Work folders of two runs."""
    for name in ('a', 'b'):
        file = tmp_path / name / '1/vis_data/scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(dict(loss=1.0, epoch=1, iter=1)) + '\n')
    return [str(tmp_path / name) for name in ('a', 'b')]


@pytest.mark.parametrize('words', [(), ('--overwrite',)])
def test_a_picture_not_written_by_plot_run_is_left_alone(tmp_path, runs, capsys, words):
    for path in (tmp_path / 'mine.png', tmp_path / 'a/curves.png'):
        path.write_bytes(b'mine')
        out = ('--out', str(path)) if path.name == 'mine.png' else ()
        assert main(['plot-run', runs[0], *out, *words]) == 2
        assert f'{path}, not written here by an earlier run' in capsys.readouterr().err
        assert path.read_bytes() == b'mine'


def test_curves_are_updated_but_those_of_another_run_only_on_request(
    tmp_path, runs, capsys
):
    a, b = runs
    out = tmp_path / 'curves.png'
    assert main(['plot-run', a, '--out', str(out)]) == 0
    before = out.read_bytes()
    assert main(['plot-run', b, '--out', str(out)]) == 2
    assert f'{out} was made with {a}. Choose another --out' in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main(['plot-run', a, '--out', str(out)]) == 0
    # As for folds.pdf after a plan has gained folds.
    assert main(['plot-run', a, b, '--out', str(out)]) == 0
    assert main(['plot-run', b, '--out', str(out), '--overwrite']) == 0


def test_curves_of_another_metric_are_replaced_only_on_request(tmp_path, runs, capsys):
    command = ['plot-run', runs[0], '--out', str(tmp_path / 'curves.png')]
    assert main(command) == 0
    other = [*command, '--metric', 'mDice']
    assert main(other) == 2
    assert 'was made with --metric mDice_fg. Choose another' in capsys.readouterr().err
    assert main([*other, '--overwrite']) == 0
    assert main(command) == 2
