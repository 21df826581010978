from argparse import Namespace
from types import SimpleNamespace

import pytest

from mcdrl_common.threshold_file import CONFORMAL, PRESENCE
from mcdrl_mmseg.apis import tool_commands
from mcdrl_mmseg.apis.explanation_files import ExplainSummary
from mcdrl_mmseg.apis.prediction import Summary

ARGUMENTS = Namespace(
    checkpoint='best.pth',
    config=None,
    device=None,
    input=['in'],
    image=['in'],
    out='out',
    save=['masks'],
    truth=None,
    batch_size=1,
    overwrite=False,
    conformal=None,
    presence=None,
)


@pytest.fixture
def predicts(monkeypatch):
    """Runs the predict command with a prediction that ends in the given summary."""

    def use(summary: Summary, model_hash: str = '') -> int:
        model = SimpleNamespace(model=SimpleNamespace(model_hash=model_hash))
        monkeypatch.setattr(tool_commands, 'MCDRLInferencer', lambda *_, **__: model)
        monkeypatch.setattr(tool_commands, 'predict_files', lambda *_: summary)
        return tool_commands.predict(ARGUMENTS)

    return use


def test_a_clean_run_prints_a_summary_and_ends_with_0(predicts, capsys):
    summary = Summary(num_images=10, num_lesions=4, seconds={'c.mp4': (50, 2.0)})
    assert predicts(summary) == 0
    out, err = capsys.readouterr()
    assert 'c.mp4: 50 frames in 2.0 s, 25.0 frames/s' in out
    assert '10 images segmented, a lesion found in 4; masks in out' in out
    assert not err


def test_skipped_inputs_are_listed_once_and_the_run_ends_with_1(predicts, capsys):
    problems = {'a.png': 'a.png: damaged', 'gone': 'no such file'}
    assert predicts(Summary(num_images=3, problems=problems)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        '2 inputs were skipped:',
        '  a.png: damaged',
        '  gone: no such file',
    ]


def test_a_run_without_any_result_ends_with_2(predicts):
    assert predicts(Summary(problems={'gone': 'no such file'})) == 2


def test_explain_prints_a_note_if_the_gate_is_closed(monkeypatch, capsys, new_model):
    model = new_model()
    monkeypatch.setattr(tool_commands, 'load_segmentor', lambda *_: model)
    monkeypatch.setattr(tool_commands, 'explain_files', lambda *_: ExplainSummary())
    for gate, told in ((0.0, True), (0.5, False)):
        model.decode_head.intervention.gate.fill_(gate)
        assert tool_commands.explain(ARGUMENTS) == 0
        assert ('gate of this checkpoint is 0' in capsys.readouterr().err) == told


def test_explain_prints_the_written_pages_and_the_number_of_skipped_inputs(
    monkeypatch, capsys
):
    summary = ExplainSummary(written=['out/a.png'], problems={'b': 'damaged'})
    monkeypatch.setattr(tool_commands, 'load_segmentor', lambda *_: None)
    monkeypatch.setattr(tool_commands, 'explain_files', lambda *_: summary)
    assert tool_commands.explain(ARGUMENTS) == 1
    out, err = capsys.readouterr()
    assert out == 'out/a.png\n'
    assert '1 inputs were skipped' in err


def test_predict_prints_the_number_of_emptied_masks(
    predicts, monkeypatch, capsys, tmp_path
):
    content = dict(threshold=0.25, method='baseline')
    PRESENCE.write(tmp_path / 'presence.json', content)
    monkeypatch.setattr(ARGUMENTS, 'presence', str(tmp_path / 'presence.json'))
    assert predicts(Summary(num_images=10, num_lesions=8, num_emptied=3)) == 0
    said = capsys.readouterr().out
    assert '3 of these have an empty mask in out/presence: the network' in said
    assert "expects a Dice below 0.25 (threshold of 'baseline' in its rec" in said


@pytest.mark.parametrize('kind', [PRESENCE, CONFORMAL])
def test_thresholds_of_another_network_are_refused_and_old_ones_give_a_note(
    predicts, monkeypatch, capsys, tmp_path, kind
):
    path = tmp_path / 'threshold.json'
    option = 'presence' if kind is PRESENCE else 'conformal'
    monkeypatch.setattr(ARGUMENTS, option, str(path))
    content = dict(threshold=0.25, level=0.3, method='baseline')
    kind.write(path, content)
    assert predicts(Summary(num_images=1), 'a' * 64) == 0
    said, told = capsys.readouterr()
    assert ('; masks, conformal in out' in said) == (kind is CONFORMAL)
    assert told.startswith(f'note: {path} does not record')
    assert "was chosen for ('baseline' of its records)" in told
    kind.write(path, {**content, 'model_hash': 'a' * 64})
    assert predicts(Summary(num_images=1), 'a' * 64) == 0
    assert not capsys.readouterr().err
    with pytest.raises(ValueError, match='another network'):
        predicts(Summary(num_images=1), 'b' * 64)
