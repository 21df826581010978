"""Run by test_site_lesion_metric.py: one evaluation in several gloo processes.

Usage: evaluate_in_processes.py RANK WORLD_SIZE ROUND_UP(0|1) FOLDER
Writes FOLDER/metrics_RANK.json, and FOLDER/records.json for all processes.
"""

import json
import sys

import torch
import torch.distributed
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mcdrl_mmseg.evaluation import SiteLesionMetric

IMAGES = 7
BATCH_SIZE = 2


def make_sample(index: int) -> SegDataSample:
    """Image number ``index`` with a prediction; every third has no lesion."""
    generator = torch.Generator().manual_seed(index)
    target = torch.zeros(1, 16, 20, dtype=torch.long)
    if index % 3:
        target[:, 2 : 6 + index, 3:12] = 1
    logits = torch.randn(2, 16, 20, generator=generator)
    logits[1] += 3 * target[0] - 2
    site = 'ab'[index % 2]
    sample = SegDataSample(
        metainfo=dict(
            img_path=f'/data/{site}/images/{index}.jpg',
            site=site,
            sequence=None,
            lesion_classes=('polyp',) if index % 3 else (),
        )
    )
    sample.gt_sem_seg = PixelData(data=target)
    sample.seg_logits = PixelData(data=logits)
    sample.pred_sem_seg = PixelData(data=logits.argmax(dim=0, keepdim=True))
    return sample


def evaluate(rank: int, world_size: int, round_up: bool, folder: str) -> None:
    if world_size > 1:
        torch.distributed.init_process_group(
            'gloo',
            init_method=f'file://{folder}/rendezvous',
            rank=rank,
            world_size=world_size,
        )
    evaluator = Evaluator(
        SiteLesionMetric(surface=False, records_path=f'{folder}/records.json')
    )
    evaluator.dataset_meta = dict(classes=('background', 'lesion'))
    sampler = DefaultSampler(range(IMAGES), shuffle=False, round_up=round_up)
    samples = [make_sample(index) for index in sampler]
    for start in range(0, len(samples), BATCH_SIZE):
        evaluator.process(samples[start : start + BATCH_SIZE])
    metrics = evaluator.evaluate(IMAGES)
    with open(f'{folder}/metrics_{rank}.json', 'w') as file:
        json.dump(dict(metrics=metrics, seen=len(samples)), file)
    if world_size > 1:
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    evaluate(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == '1', sys.argv[4])
