import re
import resource
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mcdrl_common.calibration_scores import LEVELS, calibration_scores
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results import temperature_fit
from mcdrl_lab.results.temperature_fit import fit_temperature, limit_note
from mcdrl_mmseg.apis.checkpoint import read_checkpoint
from mcdrl_mmseg.apis.temperature import META_KEY


def drawn(log_odds, rng):
    """True classes of pixels whose classes have these log-odds, (n, K)."""
    scores = np.concatenate([np.zeros((len(log_odds), 1)), log_odds], axis=1)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)


def test_temperature_of_two_kinds_of_pixels_matches_the_hand_worked_value():
    # Log-odds 2 of pixels of which three in four are lesion: log 3 is right.
    log_odds = np.array([2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0])[:, None]
    target = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    assert fit_temperature(log_odds, target) == pytest.approx([2 / np.log(3)], rel=1e-4)


def test_temperatures_of_several_classes_are_recovered_from_drawn_pixels():
    rng = np.random.default_rng(0)
    right = rng.normal(size=(100_000, 2)) * 2
    found = fit_temperature(right * [3.0, 0.5], drawn(right, rng))
    assert found == pytest.approx([3.0, 0.5], rel=0.03)


def test_the_fitted_temperature_calibrates_overconfident_probabilities():
    rng = np.random.default_rng(1)
    right = rng.normal(size=(50_000, 1)) * 2
    target = drawn(right, rng)

    def ece(log_odds):
        level = np.rint(1000 / (1 + np.exp(-log_odds[:, 0]))).astype(int)
        counts = np.zeros((2, LEVELS), int)
        np.add.at(counts, (target, level), 1)
        return calibration_scores(counts)['ECE']

    (temperature,) = fit_temperature(4 * right, target)
    assert ece(4 * right) > 0.1
    assert ece(4 * right / temperature) < 0.01


@pytest.mark.parametrize('ignored', [255, 7])
def test_pixels_that_the_head_ignores_are_not_used_in_the_fit(monkeypatch, ignored):
    rng = np.random.default_rng(2)
    odds = rng.normal(size=(1, 40, 50)) * 2
    target = drawn(odds.reshape(-1, 1), rng).reshape(40, 50)
    logits = np.concatenate([np.zeros_like(odds), 3 * odds])
    (expected,) = fit_temperature(3 * odds[:, :20].reshape(-1, 1), target[:20].ravel())
    target[20:] = ignored
    monkeypatch.setattr(
        temperature_fit, '_predictions', lambda *_: [('a', logits, target)]
    )
    model = SimpleNamespace(decode_head=SimpleNamespace(ignore_index=ignored))
    (found,) = temperature_fit.calibrate(model, {}, loaders=()).temperature
    assert found == pytest.approx(expected, rel=1e-3)


def test_data_whose_classes_have_other_labels_are_not_fitted_on():
    """The temperatures of two classes would be swapped."""
    model = SimpleNamespace(
        dataset_meta=dict(classes=('background', 'polyp', 'nodule')),
        decode_head=SimpleNamespace(ignore_index=255),
    )
    swapped = dict(
        type='EndoscopySiteDataset',
        metainfo=dict(classes=('background', 'nodule', 'polyp')),
    )
    cfg = Config(dict(val_dataloader=dict(dataset=swapped)))
    with pytest.raises(ProtocolError) as refused:
        temperature_fit.calibrate(model, cfg)
    assert str(refused.value).startswith(
        'val_dataloader.dataset.metainfo: the checkpoint was trained with the classes'
    )


def test_the_temperature_of_always_correct_pixels_stays_within_bounds():
    (temperature,) = fit_temperature(np.array([[5.0], [-5.0]]), np.array([1, 0]))
    assert 0.02 <= temperature < 0.5


@pytest.mark.parametrize(
    'odds, target, said',
    [
        # Lesion pixels have the lower score: the best temperature is infinite.
        ([-3.0, 3.0], [1, 0], '50 is at the limit .* belong together'),
        ([0.01, -0.01], [1, 0], '0.02 is at the limit .* Fit on more images'),
        ([2.0, 2.0, -2.0, 2.0], [1, 0, 0, 1], None),
    ],
)
def test_a_temperature_at_the_limit_of_its_search_is_reported(odds, target, said):
    (found,) = fit_temperature(np.array(odds)[:, None], np.array(target))
    note = limit_note('polyp', found)
    if said is None:
        assert note is None
    else:
        assert re.match(f'polyp: temperature {said}', note)


@pytest.mark.parametrize('target, missing', [([0, 0], 1), ([1, 1], 0)])
def test_a_class_without_validation_pixels_is_named_in_the_error(target, missing):
    with pytest.raises(ProtocolError, match=f'no validation pixel of class {missing}'):
        fit_temperature(np.ones((2, 1)), np.array(target))


@pytest.fixture
def run(tmp_path, sites, tiny_config, checkpoint_content, draw):
    """Folder of a run: its config, and a checkpoint as MMEngine leaves it."""
    cfg = Config.fromfile(tiny_config)
    for name, loader in sites.config().items():
        loader.update(num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
        loader['dataset']['pipeline'] = cfg.test_pipeline
        cfg[name] = loader
    cfg.held_out_site = 'west'
    folder = tmp_path / 'run'
    folder.mkdir()
    cfg.dump(folder / 'config.py')
    torch.save(checkpoint_content(), folder / 'best.pth')
    return folder


def test_command_writes_a_calibrated_copy_and_keeps_the_original(run, capsys):
    before = (run / 'best.pth').read_bytes()
    arguments = ['calibrate', str(run / 'best.pth'), '--device', 'cpu', '--test']
    assert main(arguments) == 0
    assert (run / 'best.pth').read_bytes() == before
    written = read_checkpoint(run / 'best_calibrated.pth')
    original = read_checkpoint(run / 'best.pth')
    (temperature,) = written['meta'].pop(META_KEY)
    assert 0.02 <= temperature <= 50
    assert written['meta'] == original['meta']
    assert all(
        torch.equal(written['state_dict'][key], value)
        for key, value in original['state_dict'].items()
    )
    told = capsys.readouterr().out
    assert f'lesion: temperature {temperature:.3f}' in told
    assert 'validation images of north, south' in told
    assert 'test, west' in told
    # A second run needs --overwrite.
    assert main(arguments) == 2
    assert '--overwrite' in capsys.readouterr().err
    assert main([*arguments, '--overwrite']) == 0


def test_command_warns_of_a_temperature_at_the_limit_of_its_search(
    run, capsys, monkeypatch
):
    monkeypatch.setattr(temperature_fit, 'fit_temperature', lambda *_: [50.0])
    assert main(['calibrate', str(run / 'best.pth'), '--device', 'cpu']) == 0
    assert 'warning: lesion: temperature 50 is at the' in capsys.readouterr().err


def test_command_does_not_test_on_the_images_of_the_fit(run, capsys):
    """A config that holds no site out, as of one hospital, has one part for both."""
    cfg = Config.fromfile(run / 'config.py')
    cfg.test_dataloader = cfg.val_dataloader
    cfg.pop('held_out_site')
    cfg.dump(run / 'config.py')
    arguments = ['calibrate', str(run / 'best.pth'), '--device', 'cpu']
    assert main([*arguments, '--test']) == 2
    told = capsys.readouterr().err
    found = r'error: (\d+) of \1 test images, such as \S+, are validation'
    assert re.search(found, told)
    assert not (run / 'best_calibrated.pth').exists()
    assert main(arguments) == 0


def test_command_refuses_the_held_out_site_and_a_missing_config(run, capsys):
    cfg = Config.fromfile(run / 'config.py')
    cfg.held_out_site = 'south'
    cfg.dump(run / 'config.py')
    checkpoint = str(run / 'best.pth')
    assert main(['calibrate', checkpoint, '--device', 'cpu']) == 2
    assert "held-out site 'south'" in capsys.readouterr().err
    (run / 'config.py').unlink()
    assert main(['calibrate', checkpoint]) == 2
    assert '--config' in capsys.readouterr().err
    assert main(['calibrate', str(run / 'none.pth')]) == 2
    assert 'none.pth' in capsys.readouterr().err


def trained_at(run, names, held_out):
    """Make the checkpoint record that it was trained at these sites."""
    content = torch.load(run / 'best.pth', weights_only=False)
    cfg = Config.fromstring(content['meta']['cfg'], '.py')
    cfg.held_out_site = held_out
    cfg.train_dataloader.dataset.sites = names
    content['meta']['cfg'] = cfg.pretty_text
    torch.save(content, run / 'best.pth')


def test_command_refuses_a_config_of_another_fold_than_the_checkpoint(run, capsys):
    trained_at(run, ['north', 'west'], 'south')
    assert main(['calibrate', str(run / 'best.pth'), '--device', 'cpu']) == 2
    error = capsys.readouterr().err
    assert "images of 'south', which the training of the checkpoint held out" in error
    assert 'MCDRL_HELD_OUT=south' in error
    assert not (run / 'best_calibrated.pth').exists()


@pytest.mark.parametrize('names, said', [(['north', 'west'], True), (['north'], False)])
def test_command_notes_tests_at_sites_that_were_trained_on(run, capsys, names, said):
    trained_at(run, names, None)
    arguments = ['calibrate', str(run / 'best.pth'), '--device', 'cpu', '--test']
    assert main(arguments) == 0
    note = 'was trained on images of west: these scores do not apply to a new site'
    assert (note in capsys.readouterr().err) == said


def test_validation_images_without_lesion_are_refused(run, sites, capsys):
    for site in ('north', 'south'):
        for number in range(5):
            sites.put(site, f'{number}', mask=np.zeros((48, 64), np.uint8))
    assert main(['calibrate', str(run / 'best.pth'), '--device', 'cpu']) == 2
    assert 'no validation pixel of class 1' in capsys.readouterr().err


@pytest.mark.reliability('bad input', 'calibrate --overwrite of an input')
def test_the_input_checkpoint_is_never_replaced(run, capsys):
    name = 'best.pth'
    before = (run / name).read_bytes()
    arguments = ['calibrate', str(run / 'best.pth'), '--out', str(run / name)]
    assert main([*arguments, '--device', 'cpu', '--overwrite']) == 2
    assert 'an input; results never replace inputs' in capsys.readouterr().err
    assert (run / name).read_bytes() == before


@pytest.mark.reliability('bad input', 'calibrate --overwrite of what others wrote')
def test_a_file_not_written_by_calibrate_is_never_replaced(run, capsys):
    (run / 'other.pth').write_text('mine')
    arguments = ['calibrate', str(run / 'best.pth'), '--out', str(run / 'other.pth')]
    assert main([*arguments, '--device', 'cpu', '--overwrite']) == 2
    assert 'never replaced' in capsys.readouterr().err
    assert (run / 'other.pth').read_text() == 'mine'


@pytest.mark.reliability('fault', 'disk full while calibrate writes a checkpoint')
def test_a_full_disk_gives_an_error_that_names_the_file_and_leaves_no_part_of_it(
    run, capsys
):
    size = (run / 'best.pth').stat().st_size // 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that grows further gives an error, as on a full disk.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        assert main(['calibrate', str(run / 'best.pth'), '--device', 'cpu']) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    told = capsys.readouterr().err
    assert 'best_calibrated.pth: could not be written: File too large' in told
    assert not list(run.glob('*calibrated*'))
    assert not list(run.glob('.*partial*'))
