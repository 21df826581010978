"""The parts of a runner that the hooks use, around a small model."""

import uuid
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import Dataset

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.models import ConfounderDictionary

PROMPTS = dict(
    classes=['polyp', 'cyst'],
    confounders={'light': ['glare', 'dark'], 'view': ['blur']},
    background_prompts=['Normal mucosa'],
)


class Backbone(nn.Module):
    """Stands for CLIPVisionBackbone: the hooks use only its spec."""

    clip_spec = CLIPSpec('mcdrl-tiny-rn')


class Model(nn.Module):
    def __init__(self, **dictionary) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.data_preprocessor = nn.Identity()
        self.dictionary = ConfounderDictionary(
            **{'prompts': PROMPTS, 'embed_dims': 128, **dictionary}
        )


@pytest.fixture
def prompts() -> dict:
    return PROMPTS


@pytest.fixture
def make_runner():
    """Makes a runner; ``iteration`` above 0 makes a resumed one."""

    def make(model=None, iteration=0, loop=EpochBasedTrainLoop, **dictionary):
        return SimpleNamespace(
            model=Model(**dictionary) if model is None else model,
            iter=iteration,
            epoch=iteration // 4 if loop is EpochBasedTrainLoop else 0,
            logger=MagicMock(),
            message_hub=MagicMock(),
            train_loop=MagicMock(spec=loop),
            train_dataloader=MagicMock(__len__=lambda self: 4),
        )

    return make


@pytest.fixture
def text_passes(monkeypatch) -> list:
    """Grows by the number of texts at every pass of a text tower."""
    from open_clip.transformer import TextTransformer

    torch.set_num_threads(1)
    passes = []
    forward = TextTransformer.forward

    def counted(self, text, *args, **kwargs):
        passes.append(len(text))
        return forward(self, text, *args, **kwargs)

    monkeypatch.setattr(TextTransformer, 'forward', counted)
    return passes


class ToyData(Dataset):
    """Four images that name their files."""

    metainfo: dict = {}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        image = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(index))
        sample = SegDataSample(metainfo=dict(img_path=f'images/{index}.png'))
        return dict(inputs=image, data_samples=sample)


class ToyModel(BaseModel):
    """Batch norm and a layer; its prediction is the number of steps trained."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 3))
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        torch.manual_seed(0)
        self.layers[1].reset_parameters()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'predict':
            return [int(self.steps)] * len(inputs)
        self.steps += 1
        output = self.layers(torch.stack(inputs))
        return dict(loss_a=output.square().mean(), loss_b=output.abs().mean())


class ToyScore(BaseMetric):
    """A score for each epoch of two steps, given beforehand."""

    def __init__(self, scores) -> None:
        super().__init__()
        self.scores = scores

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(score=self.scores[results[0] // 2 - 1])


@pytest.fixture
def make_toy_runner(tmp_path):
    """Makes runners that train a toy for epochs of two steps, in one work folder."""

    def make(model=None, scores=(1, 2, 3), resume=False, checkpoint=None, **changes):
        loader = dict(
            batch_size=2,
            dataset=ToyData(),
            sampler=dict(type='DefaultSampler', shuffle=True, seed=0),
            collate_fn=dict(type='pseudo_collate'),
        )
        kind = changes.pop('kind', Runner)
        return kind(
            model or ToyModel(),
            work_dir=changes.pop('work_dir', str(tmp_path / 'run')),
            train_dataloader=loader,
            val_dataloader={**loader, 'sampler': dict(type='DefaultSampler')},
            train_cfg=dict(by_epoch=True, max_epochs=len(scores), val_interval=1),
            val_cfg=dict(),
            val_evaluator=Evaluator(ToyScore(scores)),
            optim_wrapper=changes.pop(
                'optim_wrapper', dict(optimizer=dict(type='AdamW', lr=0.1))
            ),
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=1),
                checkpoint=dict(
                    type='AtomicCheckpointHook',
                    interval=1,
                    save_best='score',
                    rule='greater',
                    **(checkpoint or {}),
                ),
            ),
            default_scope='mmseg',
            resume=resume,
            randomness=dict(seed=0),
            # Runners of one name would share their logged numbers.
            experiment_name=uuid.uuid4().hex,
            **changes,
        )

    return make
