"""The command site-check, on a small model with site statistics and made-up images."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mcdrl_common.own_confidence import own_confidence
from mcdrl_common.site_reference import META_KEY, site_reference
from mcdrl_lab.commands import make_parser
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.trust import site_check
from mcdrl_lab.trust.site_check_command import run
from mcdrl_mmseg.apis.image_pipeline import ImageError
from mcdrl_mmseg.apis.inferencer import MCDRLInferencer
from mcdrl_mmseg.models.image_conditions import image_conditions


@pytest.fixture(scope='module')
def small(new_model):
    torch.set_num_threads(1)
    return new_model()


def noise(seed, low=0, high=256):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(low, high, (8, 8, 3), np.uint8)
    return coarse.repeat(16, axis=0).repeat(16, axis=1)


@pytest.fixture
def desk(tmp_path, small, checkpoint_content, monkeypatch):
    """A checkpoint with statistics of noise images, and twelve other noise images."""
    monkeypatch.chdir(tmp_path)
    training = [noise(seed) for seed in range(30)]
    data = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in training]
    inputs = small.data_preprocessor(dict(inputs=data), training=False)['inputs']
    seen = image_conditions(small, inputs)
    dictionary = small.decode_head.dictionary
    reference = site_reference(
        seen.scores.numpy(),
        seen.embeddings.numpy(),
        ['a'] * 15 + ['b'] * 15,
        dictionary.prompts.confounder_names,
        dictionary.stored_fingerprint,
    )
    content = checkpoint_content(small)
    content['meta'][META_KEY] = reference.to_text()
    torch.save(content, 'best.pth')
    for seed in range(12):
        write(f'images/{seed}.png', noise(100 + seed))
    return tmp_path


def write(name, image):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(name, image)


def check(*arguments) -> int:
    parsed: argparse.Namespace = make_parser('site-check').parse_args(
        ['best.pth', *arguments, '--device', 'cpu', '--shown', '2']
    )
    return run(parsed)


def results(folder='site_check') -> dict:
    with open(f'{folder}/site_check.json', encoding='utf-8') as file:
        return json.load(file)


def test_images_like_the_training_images_differ_in_no_condition(desk, capsys):
    assert check('images') == 0
    told = capsys.readouterr().out
    assert '12 images compared with 2 training sites' in told
    assert 'no named condition differs' in told
    assert '--records' in told
    found = results()
    assert found['training_sites'] == ['a', 'b']
    assert [c['differs'] for c in found['conditions']] == [0] * 12
    assert found['expected_dice'] is None
    assert len(found['images']) == 12


def test_differing_conditions_are_named_and_the_farthest_images_shown(desk, capsys):
    for seed in range(12):
        write(f'dark/{seed}.png', noise(seed, 0, 20))
    assert check('dark', '--out', 'told') == 0
    found = results('told')
    differing = [c['name'] for c in found['conditions'] if c['differs']]
    assert differing and found['unusual'] > 0.5
    page = (desk / 'told' / 'site_check.html').read_text(encoding='utf-8')
    assert all(
        f'&#34;{name}&#34; than at any training site' in page for name in differing
    )
    assert page.count('<figure>') == 2
    assert 'not a medical device' in page
    assert 'http' not in page.replace('http-equiv', '')
    # The farthest image comes first.
    farthest = max(found['images'], key=lambda image: image['distance'])
    assert page.index(farthest['file_name'].rpartition('/')[2]) < page.index(
        '</figure>'
    )


def test_one_image_is_compared_without_p_values(desk, capsys):
    assert check('images/0.png') == 0
    assert 'note: One image cannot be tested' in capsys.readouterr().out
    assert {c['p'] for c in results()['conditions']} == {None}


def test_equal_images_are_noted(desk, capsys):
    for number in range(3):
        write(f'same/{number}.png', noise(7))
    assert check('same') == 0
    told = capsys.readouterr().out
    assert 'All images look the same to the network' in told
    assert '3 images are few' in told


def test_unreadable_image_is_skipped_and_named(desk, capsys):
    (desk / 'images' / 'x.png').write_bytes(b'no image')
    assert check('images') == 1
    assert 'x.png' in capsys.readouterr().out
    assert len(results()['images']) == 12
    assert [*results()['skipped']] == ['images/x.png']


def record_plan(make_record, make_image):
    """Three held-out sites of eight images, with a Dice of 0.50, 0.51 and 0.52."""
    for place, site in enumerate(('s1', 's2', 's3')):
        names = [f'i{number}.png' for number in range(8)]
        for number, name in enumerate(names):
            write(f'data/{site}/{name}', noise(200 + 10 * place + number))
        images = [make_image(name, 0.5 + 0.01 * place) for name in names]
        append_record('plan.jsonl', make_record('mcdrl', site, images=images))


def test_records_give_expected_dice_with_an_interval(
    desk, capsys, make_record, make_image
):
    record_plan(make_record, make_image)
    arguments = ('images', '--records', 'plan.jsonl', '--low-dice', '0.6')
    assert check(*arguments, '--data-root', 'data') == 0
    found = results()
    assert found['expected_dice']['mean'] == pytest.approx(0.51, abs=0.01)
    assert found['expected_dice']['low'] < 0.51 < found['expected_dice']['high']
    assert all(image['low_dice'] for image in found['images'])
    assert 'expected Dice 51 %' in capsys.readouterr().out
    page = (desk / 'site_check' / 'site_check.html').read_text(encoding='utf-8')
    assert '12 of 12 images have an expected Dice below 60 %' in page
    assert "since the records lack the model's confidence" in page
    assert found['expected_dice']['predicted_from'] == 'embedding'
    assert 'self_dice' not in found['images'][0]
    assert check(*arguments) == 2
    assert '--data-root' in capsys.readouterr().err


def test_records_with_confidence_predict_dice_from_the_models_own_confidence(
    desk, make_record, make_image
):
    rng = np.random.default_rng(0)
    for site in ('s1', 's2', 's3'):
        images = []
        for number, sure in enumerate(rng.uniform(0.1, 0.9, 8)):
            write(f'data/{site}/i{number}.png', noise(number))
            image = make_image(f'i{number}.png', 0.1 + 0.8 * sure)
            images.append(image | dict(self_dice=sure, mean_confidence=0.9))
        append_record('plan.jsonl', make_record('mcdrl', site, images=images))
    assert check('images', '--records', 'plan.jsonl', '--data-root', 'data') == 0
    found = results()
    assert found['expected_dice']['predicted_from'] == 'confidence'
    assert found['expected_dice']['rank_correlations']['confidence'] > 0.99
    inferencer = MCDRLInferencer(weights='best.pth', device='cpu')
    (prediction,) = inferencer.predict(['images/0.png'])
    own = own_confidence(prediction.lesion_probability, prediction.labels != 0)
    (first,) = (i for i in found['images'] if i['file_name'] == 'images/0.png')
    assert first['self_dice'] == pytest.approx(own['self_dice'], abs=1e-4)
    expected = 0.1 + 0.8 * own['self_dice']
    assert first['expected_dice'] == pytest.approx(expected, abs=0.02)
    page = (desk / 'site_check' / 'site_check.html').read_text(encoding='utf-8')
    assert "the model's confidence in its own mask" in page
    assert '<li>confidence: 1.00</li>' in page


def test_unusable_input_ends_with_a_one_line_error(desk, capsys, tiny_checkpoint):
    assert check('nowhere') == 2
    assert not Path('site_check').exists()
    (desk / 'mine').mkdir()
    (desk / 'mine' / 'site_check.json').write_text('{"my": "file"}')
    assert check('images', '--out', 'mine') == 2
    Path('written').touch()
    assert check('images', '--out', 'written') == 2
    assert check('images', '--low-dice', '50') == 2
    assert check('images', '--records', 'nothing') == 2
    torch.save(torch.load(tiny_checkpoint, weights_only=False), 'best.pth')
    assert check('images') == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.startswith('error: ') for line in lines] == [True] * 6
    for line, named in zip(
        lines,
        (
            'no image could be read',
            'is not a site check',
            'is a file',
            '[0, 1]',
            'leave-one-site-out',
            'site-reference CONFIG best.pth',
        ),
        strict=True,
    ):
        assert named in line


def test_results_are_updated_but_those_of_another_site_only_on_request(desk, capsys):
    assert check('images/0.png') == check('images/0.png') == 0
    # More of the same site.
    assert check('images/0.png', 'images/1.png') == 0
    before = results()
    assert check('images/2.png') == 2
    told = capsys.readouterr().err
    assert 'site_check.html was made with ' in told and '--overwrite' in told
    assert results() == before
    assert check('images/2.png', '--overwrite') == 0
    assert len(results()['images']) == 1


def test_results_with_another_method_are_replaced_only_on_request(
    desk, capsys, make_record, make_image
):
    record_plan(make_record, make_image)
    arguments = ('images/0.png', '--records', 'plan.jsonl', '--data-root', 'data')
    assert check(*arguments) == check(*arguments) == 0
    assert check(*arguments, '--method', 'mcdrl') == 2
    assert '--method of the checkpoint' in capsys.readouterr().err
    assert check(*arguments, '--method', 'mcdrl', '--overwrite') == 0


def test_results_of_an_earlier_version_are_replaced(desk):
    assert check('images/0.png') == 0
    (desk / 'site_check/.mcdrl_written.sha256').unlink()
    assert check('images/2.png') == 0


def test_site_and_file_names_are_escaped_in_the_page(desk, small, checkpoint_content):
    content = torch.load('best.pth', weights_only=False)
    values = json.loads(content['meta'][META_KEY])
    values['sites'] = ['<script>alert(1)</script>', 'b']
    content['meta'][META_KEY] = json.dumps(values)
    torch.save(content, 'best.pth')
    write('images/<b>.png', noise(3))
    assert check('images', '--shown', '20') == 0
    page = (desk / 'site_check' / 'site_check.html').read_text(encoding='utf-8')
    assert '<script' not in page and '<b>.png' not in page


def test_frames_of_a_truncated_video_are_kept(desk, monkeypatch):
    """Like tools/predict.py, the command uses the frames before the damage."""

    def frames(file):
        yield noise(100)
        yield noise(101)
        raise ImageError(f'{file.path}: the video ends after 2 of 9 frames.')

    monkeypatch.setattr(site_check, 'read_images', frames)
    assert check('images/0.png', '--shown', '0') == 1
    assert [image['frame'] for image in results()['images']] == [1, 2]
    assert 'after 2 of 9' in results()['skipped']['images/0.png']
