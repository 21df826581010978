"""An intervention warm-up that does not fit the training's length or EMA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import EMAHook

from mcdrl_mmseg.engine.hooks import ConfounderDictionaryHook, InterventionWarmupHook
from mcdrl_mmseg.models import ConfounderDictionary

from .config_components import Component
from .config_problem import ConfigProblem
from .loop_lengths import training_loop


def schedule_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """A warm-up that is too late, in another unit or partial, or has no dictionary."""
    by_epoch, length = training_loop(cfg)
    for part in parts:
        if part.is_a(InterventionWarmupHook):
            if part.cfg.get('of_schedule'):
                continue  # its constructor checks that the values are shares
            if part.value('by_epoch') == by_epoch:
                yield from _warmup(part, by_epoch, length)
            elif not by_epoch:
                yield ConfigProblem(
                    part.at('by_epoch'),
                    'counts epochs, but the training loop counts iterations.',
                    'Set by_epoch=False and give begin and ramp in iterations.',
                )
    yield from _averaged_gate(parts)
    dictionaries = [part for part in parts if part.is_a(ConfounderDictionary)]
    built = any(part.is_a(ConfounderDictionaryHook) for part in parts)
    if dictionaries and not built and not cfg.get('load_from'):
        yield ConfigProblem(
            'custom_hooks',
            f'no hook builds {dictionaries[0].place}: its embeddings stay empty.',
            "Add dict(type='ConfounderDictionaryHook'); a list in a config replaces "
            'the list of its base config.',
        )


def _averaged_gate(parts: Sequence[Component]) -> Iterator[ConfigProblem]:
    """EMA of buffers: the gate is a buffer, and its average opens too slowly."""
    warms_up = any(part.is_a(InterventionWarmupHook) for part in parts)
    for part in parts:
        if warms_up and part.is_a(EMAHook) and part.cfg.get('update_buffers'):
            yield ConfigProblem(
                part.at('update_buffers'),
                'averages the gate of the intervention over steps before it opened: '
                'validation, checkpoints and predictions would use a partly open '
                'gate, while the log shows an open gate.',
                'Remove it: buffers are then taken from the last step.',
            )


def _warmup(part: Component, by_epoch: bool, length: Any) -> Iterator[ConfigProblem]:
    begin, ramp = part.value('begin'), part.value('ramp')
    unit = 'epochs' if by_epoch else 'iters'
    if not isinstance(length, (int, float)) or min(begin, ramp) < 0:
        return
    if begin >= length:
        yield ConfigProblem(
            part.at('begin'),
            f'the intervention begins after {begin} {unit}, but training ends after '
            f'train_cfg.max_{unit}={length}: it would never begin.',
            'Begin earlier, or train longer.',
        )
    elif begin + ramp > length:
        yield ConfigProblem(
            part.at('ramp'),
            f'the gate is open after {begin} + {ramp} {unit}, but training ends after '
            f'train_cfg.max_{unit}={length}.',
            'Shorten begin or ramp, or train longer.',
        )
