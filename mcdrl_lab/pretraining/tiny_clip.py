"""The built-in tiny CLIP: drawn scenes, training, packed weights, zero-shot scores."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from mcdrl_common.atomic_write import atomic_write
from mcdrl_mmseg.clip.builtin import pack
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec
from mcdrl_mmseg.clip.weights import resolve_weights_file

from .captions import PROMPTS
from .scene_pool import PoolSettings, draw_pool, open_pool
from .trainer import Settings, pretrain
from .training_loop import PretrainingError
from .zero_shot_table import Scores, score_clip, scores_table

WEIGHTS = 'weights.safetensors'

# Seeds of the pools for training and test; no benchmark contains scenes of a pool.
TRAIN_SEED, TEST_SEED = 1, 2


def train_clip(settings: Settings, scenes: int, work_dir: Path, device: str) -> Path:
    """Draw scenes, train on them, and pack the weights.

    Args:
        settings: The training.
        scenes: How many scenes are drawn.
        work_dir: Folder of the scenes, the checkpoint and the weights.
        device: Where to train.

    Returns:
        The file of the weights.

    Raises:
        PretrainingError: Fewer scenes than a batch holds, or the training fails.
    """
    started = time.monotonic()
    if scenes < settings.batch_size:
        raise PretrainingError(
            f'--scenes {scenes} must be at least --batch-size {settings.batch_size}.'
        )
    pool = open_pool(
        PoolSettings(scenes, seed=TRAIN_SEED),
        work_dir / 'scenes',
        os.cpu_count() or 1,
        lambda done, total: print(f'{done}/{total} scenes drawn', flush=True),
    )
    model = pretrain(
        settings,
        pool,
        work_dir,
        device,
        lambda line: print(line, flush=True),
    )
    path = work_dir / WEIGHTS
    # Packed as the package ships the weights.
    state = pack(model.state_dict(), trained_ids(CLIPSpec(settings.model_name)))
    with atomic_write(path) as temporary:
        save_file(state, temporary, {'settings': json.dumps(settings.__dict__)})
    print(f'Trained in {(time.monotonic() - started) / 60:.0f} minutes.')
    return path


def trained_ids(spec: CLIPSpec) -> set[int]:
    """Token ids that occur in captions.

    Args:
        spec: The model whose tokenizer is used.
    """
    healthy = [f'Normal mucosa with {name}' for name in PROMPTS.confounder_names]
    texts = [
        *PROMPTS.class_texts,
        *PROMPTS.confounder_texts,
        *PROMPTS.class_confounder_texts,
        *PROMPTS.background_prompts,
        *healthy,
        'mucus and blood',
    ]
    return set(tokenize(spec, texts).unique().tolist())


def score_weights(spec: CLIPSpec, count: int) -> Scores:
    """Score weights on scenes that no training saw, and print the table.

    Args:
        spec: The model with its weights.
        count: Number of scenes.

    Raises:
        CLIPWeightsError: There are no such weights.
    """
    if spec.weights is not None:
        # Fail before scenes are drawn, which takes a minute.
        resolve_weights_file(spec.weights, spec.model_name)
    pool = draw_pool(PoolSettings(count, seed=TEST_SEED))
    torch.manual_seed(0)
    scores = score_clip(spec, pool)
    print(scores_table(scores))
    return scores
