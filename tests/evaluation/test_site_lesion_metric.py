import contextlib
import json
import logging
import math
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from forked_program import start_forked
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from PIL import Image

from mcdrl_common.image_records import read_records
from mcdrl_mmseg.evaluation import SiteLesionMetric

CLASSES = ('background', 'lesion')


def make_sample(target, logits, path='/data/c1/images/a.jpg', **metainfo):
    """A sample as a model returns it; ``target`` (H, W), ``logits`` (C, H, W)."""
    sample = SegDataSample(metainfo=dict(img_path=path, **metainfo))
    sample.gt_sem_seg = PixelData(data=target[None])
    sample.seg_logits = PixelData(data=logits)
    sample.pred_sem_seg = PixelData(data=logits.argmax(dim=0, keepdim=True))
    return sample


def sure(mask):
    """Logits (2, H, W) of a network that is sure of ``mask``."""
    return torch.stack([-4.0 * mask.float() + 2, 4.0 * mask.float() - 2])


def evaluate(samples, batch_size=1, size=None, classes=CLASSES, metric=None, **options):
    options.setdefault('surface', False)
    evaluator = Evaluator(metric or SiteLesionMetric(**options))
    evaluator.dataset_meta = dict(classes=classes)
    for start in range(0, len(samples), batch_size):
        evaluator.process(samples[start : start + batch_size])
    return evaluator.evaluate(len(samples) if size is None else size)


def random_samples(count=12, shape=(24, 30), num_classes=2):
    generator = torch.Generator().manual_seed(1)
    samples = []
    for index in range(count):
        target = torch.rand(shape, generator=generator) < 0.05 * (index % 5)
        target = target.long() * (1 + index % (num_classes - 1))
        logits = torch.randn(num_classes, *shape, generator=generator)
        site = ('c1', 'c2', 'c3')[index % 3]
        path = f'/data/{site}/images/{index}.jpg'
        samples.append(make_sample(target, logits, path, site=site))
    return samples


def same(first, second):
    """Equal dicts, bit for bit; NaN equals NaN."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


@pytest.fixture
def logged(caplog):
    """Warnings of the metric; mmengine's logger does not propagate by itself."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_metric_is_built_from_a_config():
    metric = METRICS.build(dict(type='SiteLesionMetric', surface=False))
    assert isinstance(metric, SiteLesionMetric)


def test_headline_scores_agree_with_a_hand_worked_case():
    half = torch.tensor([[1, 1, 0, 0]])
    found = torch.tensor([[1, 0, 0, 0]])
    metrics = evaluate(
        [
            make_sample(half, sure(found), '/d/1'),  # Dice 2/3
            make_sample(half, sure(half), '/d/2'),  # Dice 1
            make_sample(half, sure(0 * half), '/d/3'),  # Dice 0
            make_sample(0 * half, sure(found), '/d/4'),  # no lesion
        ]
    )
    assert metrics['mDice_fg'] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert metrics['pooled_Dice_fg'] == pytest.approx(2 * 3 / (2 * 3 + 1 + 3))
    assert metrics['false_positive_rate'] == 1
    assert metrics['false_area'] == 0.25
    assert metrics['missed_rate'] == pytest.approx(1 / 3)


def test_stock_dataset_is_one_site_named_all_with_one_lesion_type_named_lesion():
    mask = torch.tensor([[0, 1]])
    metrics = evaluate([make_sample(mask, sure(mask))])
    assert metrics['site/all/mDice_fg'] == 1
    assert metrics['lesion/lesion/mDice_fg'] == 1


def test_every_value_is_a_float():
    assert {type(v) for v in evaluate(random_samples(), surface=True).values()} == {
        float
    }


@pytest.mark.parametrize('num_classes', [2, 4])
def test_batch_size_and_order_of_images_change_no_bit_of_the_metrics(num_classes):
    samples = random_samples(num_classes=num_classes)
    classes = ('background', 'polyp', 'cyst', 'nodule')[:num_classes]
    expected = evaluate(samples, 1, classes=classes)
    assert expected['mDice_fg'] > 0
    shuffled = samples.copy()
    for batch_size in (2, 5, 12):
        random.Random(batch_size).shuffle(shuffled)
        assert same(evaluate(shuffled, batch_size, classes=classes), expected)


def test_images_of_one_batch_may_differ_in_size():
    small, large = torch.tensor([[0, 1]]), torch.ones(3, 3).long()
    metrics = evaluate(
        [make_sample(small, sure(small), '/1'), make_sample(large, sure(large), '/2')],
        batch_size=2,
    )
    assert metrics['mDice_fg'] == 1


def test_an_image_repeated_by_the_sampler_counts_once():
    samples = random_samples()
    repeated = [*samples, samples[0], samples[1]]
    assert same(evaluate(repeated, size=len(samples)), evaluate(samples))


def test_images_with_a_path_are_counted_even_beyond_the_size_of_the_dataset():
    assert evaluate(random_samples(3), size=0)['images'] == 3


def test_second_evaluation_does_not_include_images_of_the_first():
    metric = SiteLesionMetric(surface=False)
    samples = random_samples()
    evaluate(samples[:5], metric=metric)
    assert same(evaluate(samples, metric=metric), evaluate(samples))


def evaluate_in_processes(folder, world_size, round_up):
    """Metrics of every rank, and the records file, of one joint evaluation."""
    folder.mkdir()
    script = Path(__file__).with_name('evaluate_in_processes.py')
    with contextlib.ExitStack() as ranks:
        started = [
            ranks.enter_context(
                start_forked(
                    [script, rank, world_size, round_up, folder],
                    folder=folder,
                    log=folder / f'{rank}.log',
                )
            )
            for rank in range(world_size)
        ]
        for rank, process in enumerate(started):
            assert process.wait(600) == 0, (folder / f'{rank}.log').read_text()
    results = [
        json.loads((folder / f'metrics_{rank}.json').read_text())
        for rank in range(world_size)
    ]
    return results, read_records(folder / 'records.json')


@pytest.fixture(scope='module')
def one_process(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes') / 'one'
    (result,), file = evaluate_in_processes(folder, world_size=1, round_up=1)
    assert result['seen'] == len(file['images']) == 7
    return result['metrics'], file


@pytest.mark.parametrize('round_up, seen', [(1, [4, 4]), (0, [4, 3])])
def test_two_processes_give_the_same_metrics_and_records_as_one(
    tmp_path, one_process, round_up, seen
):
    # Seven images: the sampler repeats one, or leaves a process with one less.
    results, file = evaluate_in_processes(tmp_path / 'two', 2, round_up)
    metrics, file_of_one = one_process
    assert [result['seen'] for result in results] == seen
    for result in results:
        assert same(result['metrics'], metrics)
    assert file == file_of_one


def test_per_image_scores_agree_with_monai_on_random_masks(tmp_path):
    from monai.metrics import DiceMetric, MeanIoU

    samples = random_samples(20)
    path = tmp_path / 'records.json'
    metrics = evaluate(samples, records_path=str(path))
    images = {r['image']: r for r in read_records(path)['images']}
    dice, iou = DiceMetric(reduction='none'), MeanIoU(reduction='none')
    for sample in samples:
        pair = sample.pred_sem_seg.data[None], sample.gt_sem_seg.data[None]
        dice(*pair), iou(*pair)
    names = [f'images/{index}.jpg' for index in range(20)]
    for name, reference_dice, reference_iou in zip(
        names, dice.aggregate().flatten().tolist(), iou.aggregate().flatten().tolist()
    ):
        record = images[name]
        if math.isnan(reference_dice):
            assert record['dice'] is record['iou'] is None
        else:
            assert record['dice'] == pytest.approx(reference_dice, abs=1e-6)
            assert record['iou'] == pytest.approx(reference_iou, abs=1e-6)
    reference = dice.aggregate().flatten().double().nanmean().item()
    assert metrics['mDice_fg'] == pytest.approx(reference, abs=1e-6)


def reference_record(predicted, target):
    """Scores of boolean NumPy masks, computed independently in float64."""
    both = float((predicted & target).sum())
    return dict(
        dice=2 * both / (predicted.sum() + target.sum()),
        iou=both / (predicted | target).sum(),
        accuracy=(predicted == target).mean(),
        precision=both / predicted.sum() if predicted.any() else 0.0,
        recall=both / target.sum(),
    )


def reference_surface(predicted, target, tolerance):
    """HD95 and surface Dice by distance transforms instead of MONAI's trees."""
    from scipy import ndimage

    if not predicted.any():
        return dict(hd95=math.hypot(*target.shape), nsd=0.0)
    outlines = [m & ~ndimage.binary_erosion(m) for m in (predicted, target)]
    there, back = (
        ndimage.distance_transform_edt(~other)[one]
        for one, other in (outlines, outlines[::-1])
    )
    close = (there <= tolerance).sum() + (back <= tolerance).sum()
    return dict(
        hd95=max(np.percentile(there, 95), np.percentile(back, 95)),
        nsd=close / (len(there) + len(back)),
    )


def test_scores_of_real_masks_agree_with_an_independent_computation(
    data_root, tmp_path
):
    from scipy import ndimage

    generator = np.random.default_rng(0)
    samples, expected = [], {}
    for site in ('polypgen_c2', 'polypgen_c4', 'vocalfolds_larynx'):
        for path in sorted((data_root / site / 'masks').glob('*.png'))[::12][:12]:
            target = np.asarray(Image.open(path).convert('L')) > 127
            # A soft, noisy and shifted guess, to have every kind of error.
            noise = ndimage.gaussian_filter(generator.normal(size=target.shape), 4)
            guess = ndimage.shift(target.astype(float), generator.integers(-9, 9, 2))
            score = 4 * ndimage.gaussian_filter(guess, 3) - 2 + 12 * noise
            logits = torch.from_numpy(np.stack([0 * score, score]))
            image = f'{site}/images/{path.stem}.jpg'
            samples.append(
                make_sample(
                    torch.from_numpy(target.astype(np.int64)),
                    logits,
                    str(data_root / image),
                    site=site,
                )
            )
            expected[image] = (score > 0, target)
    records_path = tmp_path / 'records.json'
    metrics = evaluate(
        samples, 4, surface=True, surface_tolerance=3, records_path=str(records_path)
    )

    records = read_records(records_path)['images']
    assert len(records) == len(samples) == len(expected) > 24
    lesions = []
    for record in records:
        predicted, target = expected[f'{record["site"]}/{record["image"]}']
        assert record['has_lesion'] == target.any()
        if target.any():
            reference = reference_record(predicted, target)
            reference.update(reference_surface(predicted, target, 3))
            lesions.append(reference)
            measured = {key: record[key] for key in reference}
            assert measured == pytest.approx(reference, rel=1e-6, abs=1e-6)
        else:
            assert record['false_positive'] == predicted.any()
            assert record['false_area'] == pytest.approx(predicted.mean(), abs=1e-9)
    assert len(lesions) < len(records), 'no lesion-free mask among them'
    for name, field in dict(mDice_fg='dice', mHD95='hd95', mNSD='nsd').items():
        mean = np.mean([reference[field] for reference in lesions])
        assert metrics[name] == pytest.approx(mean, rel=1e-6)


def test_pooled_scores_agree_with_the_foreground_row_of_mmseg():
    from mmseg.evaluation import IoUMetric

    samples = random_samples()
    stock = IoUMetric(iou_metrics=['mIoU', 'mDice'])
    stock.dataset_meta = dict(classes=CLASSES)
    stock.process(None, [sample.to_dict() for sample in samples])
    areas = [sum(column) for column in zip(*stock.results)]
    scores = stock.total_area_to_metrics(*areas, metrics=['mIoU', 'mDice'])
    metrics = evaluate(samples)
    assert metrics['pooled_Dice_fg'] == pytest.approx(scores['Dice'][1], abs=1e-6)
    assert metrics['pooled_IoU_fg'] == pytest.approx(scores['IoU'][1], abs=1e-6)
    assert metrics['pooled_Acc'] == pytest.approx(scores['aAcc'], abs=1e-6)


def test_calibration_of_each_site_is_in_the_metrics_and_the_records_file(tmp_path):
    lesion = torch.tensor([[0, 0, 0, 1]])
    chance = torch.tensor([[0.2, 0.2, 0.2, 0.8]]).logit()
    samples = [
        make_sample(lesion, torch.stack([-chance, 0 * chance]), '/c1/1', site='c1'),
        make_sample(lesion, sure(lesion) * 100, '/c2/1', site='c2'),
    ]
    for sample, mask in zip(samples, (lesion, lesion)):
        sample.pred_sem_seg.data = mask[None]
    path = tmp_path / 'records.json'
    metrics = evaluate(samples, records_path=str(path))
    assert metrics['site/c1/ECE'] == pytest.approx(0.2)
    assert metrics['site/c1/Brier'] == pytest.approx(0.04)
    assert metrics['site/c2/ECE'] == 0
    assert metrics['ECE'] == metrics['site_mean/ECE'] == pytest.approx(0.1)
    # Columns 2 and 3 are the border: one pixel on either side.
    border = read_records(path)['sites']['c1']['calibration']['border']
    assert sum(border['pixels']) == 2
    assert read_records(path)['metrics']['site/c1/ECE'] == pytest.approx(0.2)


def test_records_file_holds_what_each_threshold_misses_at_each_site(tmp_path):
    lesion, empty = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, 0, 0, 0]])
    samples = []
    for site, image, mask, p in (
        ('c1', '1', lesion, [0.1, 0.9, 0.9, 0.1]),
        ('c1', '2', lesion, [0.1, 0.9, 0.2, 0.1]),
        ('c1', '3', empty, [0.1, 0.9, 0.2, 0.1]),
        ('c2', '4', empty, [0.1, 0.1, 0.1, 0.1]),
    ):
        odds = torch.tensor([p]).logit()
        path = f'/{site}/{image}'
        logits = torch.stack([0 * odds, odds])
        samples.append(make_sample(mask, logits, path, site=site))
    path = tmp_path / 'records.json'
    evaluate(samples, records_path=str(path))
    sites = read_records(path)['sites']
    missed = sites['c1']['missed']
    at_half = missed['thresholds'].index(0.5)
    # Of two images with a lesion one is found whole, the other half.
    assert missed['images'] == 2
    assert missed['area'][at_half] == 0.25
    assert missed['lesions'][at_half] == 0.0
    assert missed['area'][0] == 0.0 and missed['area'][-1] == 1.0
    assert 'missed' not in sites['c2']


def test_calibration_of_a_site_needs_probabilities_of_all_its_images(tmp_path, logged):
    samples = random_samples(6)
    del samples[0].seg_logits
    path = tmp_path / 'records.json'
    metrics = evaluate(samples, records_path=str(path))
    assert math.isnan(metrics['site/c1/ECE']) and math.isnan(metrics['ECE'])
    assert metrics['site/c2/ECE'] > 0
    assert list(read_records(path)['sites']) == ['c2', 'c3']
    assert any('no calibration' in w for w in warnings_of(logged))


def test_calibration_can_be_turned_off(logged):
    metrics = evaluate(random_samples(), thresholds=False, calibration=False)
    assert not any('ECE' in key or 'Brier' in key for key in metrics)
    assert not any('calibration' in r.getMessage() for r in logged.records)


def test_undefined_is_nan_in_the_metrics_null_in_the_file_and_gives_a_warning(
    tmp_path, logged
):
    lesion, empty = torch.tensor([[0, 1]]), torch.tensor([[0, 0]])
    path = tmp_path / 'records.json'
    metrics = evaluate(
        [
            make_sample(lesion, sure(lesion), '/d/c1/a', site='c1'),
            make_sample(empty, sure(empty), '/d/c2/b', site='c2'),
        ],
        records_path=str(path),
    )
    assert math.isnan(metrics['site/c2/mDice_fg'])
    assert metrics['mDice_fg'] == metrics['site_mean/mDice_fg'] == 1
    written = read_records(path)
    assert written['metrics']['site/c2/mDice_fg'] is None
    assert written['sites_without_lesion'] == ['c2']
    assert written['worst_site'] == 'c1'
    assert any("site 'c2': no image holds a lesion" in w for w in warnings_of(logged))


def test_a_dataset_without_any_lesion_gives_a_warning_to_check_the_masks(logged):
    empty = torch.tensor([[0, 255]])
    metrics = evaluate([make_sample(empty, sure(torch.tensor([[0, 0]])))])
    assert math.isnan(metrics['mDice_fg'])
    assert any('check the masks' in w for w in warnings_of(logged))


def test_missing_images_give_a_warning(logged):
    evaluate(random_samples(3), size=5)
    assert any('3 different images' in w for w in warnings_of(logged))


def test_missing_logits_give_one_warning_per_evaluation(logged):
    samples = random_samples(4)
    for sample in samples:
        del sample.seg_logits
    metrics = evaluate(samples)
    assert sum('no seg_logits' in w for w in warnings_of(logged)) == 1
    assert math.isnan(metrics['mDice_fg_mean256'])
    assert metrics['mDice_fg'] > 0


def test_table_names_every_site_and_marks_the_worst(logged):
    evaluate(random_samples())
    text = '\n'.join(r.getMessage() for r in logged.records)
    for site in ('c1', 'c2', 'c3'):
        assert f'| {site}' in text
    assert text.count('(worst)') == 1
    assert "background ('background') left out" in text


def test_table_has_rows_for_classes_and_lesion_types_if_there_are_several(logged):
    samples = random_samples(num_classes=3)
    for index, sample in enumerate(samples):
        sample.set_metainfo(dict(lesion_classes=(('polyp', 'cyst')[index % 2],)))
    metrics = evaluate(samples, classes=('background', 'polyp', 'cyst'))
    text = '\n'.join(r.getMessage() for r in logged.records)
    assert '| class ' in text and '| lesion type ' in text
    assert metrics['class/cyst/mDice'] > 0
    assert metrics['lesion/cyst/mDice_fg'] > 0


def test_surface_and_threshold_scores_can_be_turned_off():
    metrics = evaluate(random_samples(), surface=False, thresholds=False)
    assert metrics['ECE'] > 0
    assert not any('HD95' in key or 'mean256' in key for key in metrics)
    metrics = evaluate(random_samples(), surface=True)
    assert metrics['mHD95'] > 0 and metrics['mDice_fg_mean256'] > 0


def test_records_file_holds_settings_metrics_and_images(tmp_path):
    path = tmp_path / 'work' / 'records.json'
    metrics = evaluate(random_samples(), records_path=str(path))
    written = read_records(path)
    assert written['metrics']['mDice_fg'] == metrics['mDice_fg']
    assert written['metrics']['site/c1/pooled_Dice_fg'] > 0
    assert written['settings']['surface_tolerance'] == '0.5%'
    assert len(written['images']) == 12


def test_bad_options_are_refused_when_the_metric_is_built(tmp_path):
    with pytest.raises(ValueError, match='surface_tolerance'):
        SiteLesionMetric(surface_tolerance='2')
    (tmp_path / 'notes.json').write_text('mine')
    with pytest.raises(ValueError, match='left alone'):
        SiteLesionMetric(records_path=str(tmp_path / 'notes.json'))


def test_missing_monai_is_reported_when_the_metric_is_built(monkeypatch):
    monkeypatch.setattr('mcdrl_mmseg.evaluation.surface.find_spec', lambda name: None)
    with pytest.raises(ImportError, match='surface=False'):
        SiteLesionMetric()
    SiteLesionMetric(surface=False)


def test_an_image_of_384_x_384_pixels_takes_less_than_40_milliseconds():
    sample = random_samples(2, (384, 384))[1].to_dict()
    metric = SiteLesionMetric(surface=False)
    metric.dataset_meta = dict(classes=CLASSES)
    durations = []
    for _ in range(20):
        # The time of this process alone: others may run at the same time.
        start = time.process_time()
        metric.process(None, [sample])
        durations.append(time.process_time() - start)
    # About 15 ms; a pass for each of the 256 thresholds would take 100.
    assert min(durations) < 0.04


class TinySegmentor(BaseModel):
    """One learned threshold on brightness, enough to be trained and evaluated."""

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, inputs, data_samples, mode='tensor'):
        images = torch.stack(inputs)
        logits = torch.cat([torch.zeros_like(images), images + self.bias], dim=1)
        if mode == 'loss':
            target = torch.stack([s.gt_sem_seg.data[0] for s in data_samples])
            return dict(loss=torch.nn.functional.cross_entropy(logits, target))
        for sample, one in zip(data_samples, logits):
            sample.seg_logits = PixelData(data=one)
            sample.pred_sem_seg = PixelData(data=one.argmax(dim=0, keepdim=True))
        return data_samples


def test_training_saves_the_best_by_foreground_dice_beside_a_metric_of_mmseg(tmp_path):
    target = torch.tensor([[0, 0, 0, 1]])
    data = [
        dict(
            inputs=4.0 * target[None] - 2,
            data_samples=make_sample(target, sure(target), f'/{index}'),
        )
        for index in range(3)
    ]

    class Images(list):
        metainfo = dict(classes=CLASSES)

    loader = dict(
        dataset=Images(data),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    checkpoint = dict(type='CheckpointHook', save_best='mDice_fg', rule='greater')
    runner = Runner(
        TinySegmentor(),
        str(tmp_path),
        default_scope='mmseg',
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=3),
        val_cfg=dict(),
        val_evaluator=[
            dict(type='SiteLesionMetric', surface=False),
            dict(type='IoUMetric', iou_metrics=['mDice']),
        ],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=4.0)),
        default_hooks=dict(checkpoint=checkpoint),
        experiment_name='site_lesion_metric',
    )
    runner.train()
    assert list(tmp_path.glob('best_mDice_fg_epoch_*.pth'))
    assert runner.message_hub.get_info('best_score') == 1.0
