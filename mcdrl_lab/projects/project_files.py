"""The files of a project: a shared base config, two configs and a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrl_common.sites import Site

from .tower_choices import Tower

_BATCH, _MAX_EPOCHS, _MIN_EPOCHS = 16, 100, 8
# Fixed cost of a run in seconds: imports, dictionary, checkpoints, test.
_RUN_OVERHEAD_S = 30
_LINE = 60

SEEDS = 3
"""Seeds of each method and fold in the plan's command."""


@dataclass(frozen=True)
class Project:
    """The content of a project.

    Args:
        data_root: Absolute path of the folder of its sites.
        sites: The hospitals that have lesions.
        lesion_free_sites: Hospitals without lesions, which are never held out.
        train_images: Site -> number of its training images.
        images: Site -> number of all its images.
        tower_name: Key of :data:`~mcdrl_lab.projects.tower_choices.TOWERS`.
        tower: The model.
        modality: Name of the prompt set.
        prompts: The prompt set, with the lesion classes of the sites.
        size: Side of the images in pixels.
        weights: File of CLIP weights to use instead of the model's default.
        quick_gelu: Whether the weights in that file need QuickGELU, as OpenAI's
            TorchScript archives do.
    """

    data_root: Path
    sites: Sequence[Site]
    lesion_free_sites: Sequence[Site]
    train_images: Mapping[str, int]
    images: Mapping[str, int]
    tower_name: str
    tower: Tower
    modality: str
    prompts: Mapping[str, Any]
    size: int
    weights: str | None = None
    quick_gelu: bool = False

    @property
    def is_single(self) -> bool:
        """Whether only one hospital has lesions, so that no site can be held out."""
        return len(self.sites) == 1

    @property
    def trained(self) -> int:
        """Largest number of training images of a run.

        That is when the smallest site is held out; a single site is not held out.
        """
        least = min(self.train_images[site.name] for site in self.sites)
        return sum(self.train_images.values()) - (0 if self.is_single else least)

    @property
    def batch_size(self) -> int:
        """Images per batch; small data sets get small batches, to have enough steps."""
        return max(2, min(_BATCH, self.trained // 4))

    @property
    def epochs(self) -> int:
        """Epochs that give the model's number of steps, within fixed limits."""
        steps = max(1, self.trained // self.batch_size)
        wanted = math.ceil(self.tower.steps / steps)
        return max(_MIN_EPOCHS, min(_MAX_EPOCHS, wanted))

    @property
    def run_minutes(self) -> float:
        """Estimated minutes of one training with its test, on two CPU cores."""
        pixels = (self.size / self.tower.size) ** 2
        images = self.epochs * self.trained + sum(self.images.values())
        return (_RUN_OVERHEAD_S + images * self.tower.image_seconds * pixels) / 60


def project_files(project: Project) -> dict[str, str]:
    """The files of a project.

    Args:
        project: The project.

    Returns:
        Name -> content, without the README. A single hospital gets no plan.
    """
    files = {
        'project.py': _shared(project),
        'mcdrl.py': _mcdrl(project),
        'baseline.py': _baseline(project),
    }
    if not project.is_single:
        files['plan.yml'] = _PLAN
    return files


def _base(name: str) -> str:
    return f"    __import__('mcdrl_mmseg').config_path('_base_/{name}.py'),\n"


def _site_entry(site: Site) -> str:
    entry: dict[str, Any] = dict(
        name=site.name, lesion_classes=list(site.lesion_classes)
    )
    if site.mask_values is not None:
        entry['mask_values'] = dict(site.mask_values)
    for key, usual in (('folder', None), ('img_dir', 'images'), ('mask_dir', 'masks')):
        if getattr(site, key) != usual:
            entry[key] = getattr(site, key)
    inside = ', '.join(f'{key}={value!r}' for key, value in entry.items())
    return f'    dict({inside}),\n'


def _shared(project: Project) -> str:
    text = (
        '# What mcdrl.py and baseline.py share: hospitals, image size, schedule.\n'
        '_base_ = [\n'
        f'{_base("datasets/site_folders")}'
        f'{_base("schedules/schedule_50e")}'
        f'{_base("default_runtime")}'
        ']\n'
        f'data_root = {str(project.data_root)!r}\n'
        f'image_size = ({project.size}, {project.size})  # width, height\n'
        f'epochs = {project.epochs}\n'
        f'rate = {project.tower.rate:g}\n'
        'sites = [\n' + ''.join(map(_site_entry, project.sites)) + ']\n'
    )
    beside = ''
    if project.lesion_free_sites:
        entries = ''.join(map(_site_entry, project.lesion_free_sites))
        text += (
            '# None of their images shows a lesion: for training only, not held out.\n'
            f'training_only_sites = [\n{entries}]\n'
            "default_hooks = dict(dataset_check=dict(allow=['lesion-free site']))\n"
        )
        beside = ' + training_only_sites'
    if project.is_single:
        text += (
            '# One hospital: its validation part is also the test. Whole patients are\n'
            '# kept together where index.csv names them, else the last images are one\n'
            '# block. The score says nothing about other hospitals.\n'
            f'training_sites = sites{beside}\n'
            'test_sites = sites\n'
        )
        split = "split='val', "
    else:
        text += (
            '# Held out of training and validation; all its images are the test.\n'
            '# MCDRL_HELD_OUT=none trains on all, for use at a further hospital; then\n'
            '# the validation part, which chooses the checkpoint, is also the test.\n'
            f"held_out_site = '{{{{$MCDRL_HELD_OUT:{project.sites[0].name}}}}}'\n"
            "training_sites = [s for s in sites if s['name'] != held_out_site]"
            f'{beside}\n'
            "test_sites = [s for s in sites if s['name'] == held_out_site]\n"
            "test_split = 'all'\n"
            "if held_out_site == 'none' and not test_sites:\n"
            "    test_sites, test_split = sites, 'val'\n"
            '    del held_out_site\n'
            'elif not test_sites:\n'
            "    names = ', '.join(s['name'] for s in sites)\n"
            '    raise ValueError(\n'
            "        f'MCDRL_HELD_OUT={held_out_site!r} is not a site of project.py: "
            "{names}'\n"
            "        ' (or none, which trains on all of them).'\n"
            '    )\n'
        )
        split = 'split=test_split, '
    return text + _LOADERS.format(batch_size=project.batch_size, test_split=split)


_LOADERS = """\
train_pipeline = [
    {{**t, 'scale': image_size}} if t['type'] == 'Resize' else t
    for t in _base_.train_pipeline
]
test_pipeline = [
    {{**t, 'scale': image_size}} if t['type'] == 'Resize' else t
    for t in _base_.test_pipeline
]
# tools/test.py --tta: views of the same size.
tta_pipeline = [
    _base_.tta_pipeline[0],
    dict(
        type='TestTimeAug',
        transforms=[[test_pipeline[1]], *_base_.tta_pipeline[1]['transforms'][1:]],
    ),
]
train_dataloader = dict(
    batch_size={batch_size},
    num_workers=0,
    dataset=dict(data_root=data_root, sites=training_sites, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, sites=training_sites, pipeline=test_pipeline),
)
test_dataloader = dict(
    num_workers=0,
    dataset=dict(
        data_root=data_root, sites=test_sites, {test_split}pipeline=test_pipeline
    ),
)
optim_wrapper = dict(optimizer=dict(lr=rate), clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(
        type='CosineAnnealingLR',
        T_max=epochs,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=epochs, val_interval=max(1, epochs // 4))
"""

_PLAN = """\
description: MCDRL and the same network without it, every hospital held out in turn.
variants:
  - name: baseline
    config: baseline.py
  - name: mcdrl
    config: mcdrl.py
"""


def _backbone(project: Project) -> str:
    values = dict(project.tower.backbone)
    if project.weights:
        values |= dict(pretrained=project.weights)
        values |= dict(quick_gelu=True) if project.quick_gelu else {}
    inside = ', '.join(f'{key}={value!r}' for key, value in values.items())
    return f'    backbone=dict({inside}),\n' if values else ''


def _literal(value: Any, indent: int) -> str:
    """A value as Python source; if it is too long, with one entry per line."""
    line = repr(value)
    if indent + len(line) < _LINE or not isinstance(value, dict | list):
        return line
    inner, opening, closing = indent + 4, line[0], line[-1]
    entries = (
        [f'{key!r}: {_literal(item, inner)}' for key, item in value.items()]
        if isinstance(value, dict)
        else [_literal(item, inner) for item in value]
    )
    lines = ''.join(f'{" " * inner}{entry},\n' for entry in entries)
    return f'{opening}\n{lines}{" " * indent}{closing}'


def _mcdrl(project: Project) -> str:
    words = ''.join(
        f'    {key!r}: {_literal(value, 4)},\n'
        for key, value in project.prompts.items()
    )
    return (
        '# MCDRL on the hospitals of project.py; baseline.py is the same without it.\n'
        '_base_ = [\n'
        "    './project.py',\n"
        f'{_base(f"models/mcdrl_{project.tower.model}")}'
        ']\n'
        '# The words: classes are what lesions are called, confounders the ways in\n'
        '# which hospitals may differ. docs/prompts.md: others, and what they need.\n'
        'prompts = {\n'
        "    '_delete_': True,\n"
        f'{words}'
        '}\n'
        'model = dict(\n'
        f'{_backbone(project)}'
        '    decode_head=dict(\n'
        '        dictionary=dict(prompts={**prompts}),\n'
        f'{project.tower.head}'
        '    ),\n'
        ')\n'
        'custom_hooks = [\n'
        "    dict(type='ConfounderDictionaryHook'),\n"
        '    # The intervention begins after a fifth of the schedule.\n'
        "    dict(type='InterventionWarmupHook', begin=0.2, of_schedule=True),\n"
        '    # What your sites look like, for site-check at another hospital.\n'
        "    dict(type='SiteReferenceHook'),\n"
        ']\n'
        '# A tenth of the rate for the intervention: docs/training.md says why.\n'
        'optim_wrapper = dict(\n'
        "    paramwise_cfg=dict(custom_keys={'decode_head.intervention': "
        'dict(lr_mult=0.1)})\n'
        ')\n'
    )


def _baseline(project: Project) -> str:
    backbone = _backbone(project)
    model = f'model = dict(\n{backbone})\n' if backbone else ''
    return (
        '# The network of mcdrl.py without MCDRL: same data, tower and schedule.\n'
        '_base_ = [\n'
        "    './project.py',\n"
        f'{_base(f"models/{project.tower.model}")}'
        ']\n'
        f'{model}'
    )
