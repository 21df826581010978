"""Imports all that training and testing need; forked processes then have it.

Nothing here may start a thread, open a GPU or compute: a fork inherits modules, and
nothing else is safe to.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator

# What train and test import sooner or later, and what takes long.
_MODULES = (
    'mcdrl_mmseg.apis.training',
    # Imported when they are first called, in every run anew.
    'mcdrl_common.image_records',
    'mcdrl_common.site_reference',
    'mcdrl_common.verification',
    'mcdrl_mmseg.clip.folded_tower',
    'mcdrl_mmseg.clip.output_stride',
    'mcdrl_mmseg.clip.tower_parts',
    'mcdrl_mmseg.datasets.config_listing',
    'mcdrl_mmseg.engine.main_process',
    'mcdrl_mmseg.engine.training_reference',
    'mcdrl_mmseg.evaluation.calibration_counts',
    'mcdrl_mmseg.evaluation.distinct_images',
    'mcdrl_mmseg.evaluation.image_record',
    'mcdrl_mmseg.evaluation.missed_lesions',
    'mcdrl_mmseg.evaluation.sample_reader',
    'mcdrl_mmseg.models.backbones.feature_cache',
    'mcdrl_mmseg.models.causal_intervention.folded_attention',
    'mcdrl_mmseg.models.confounder_scores',
    'mcdrl_mmseg.models.dictionary_agreement',
    'mmseg.engine',
    'mmseg.evaluation',
    'open_clip',
    'matplotlib.pyplot',
    'matplotlib.backends.backend_agg',
    'torch.utils.cpp_extension',
    'yapf.yapflib.yapf_api',
)
# Lets torch.cuda.is_available(), which packages call when imported, ask the driver's
# management library; the usual way would make CUDA unusable in the forks.
_SAFE_CUDA_CHECK = 'PYTORCH_NVML_BASED_CUDA_CHECK'


def _import_modules() -> None:
    os.environ[_SAFE_CUDA_CHECK] = '1'
    # Modules stay: searches for garbage among them are a sixth of the time.
    gc.disable()
    with _silence():
        for name in _MODULES:
            # What cannot be imported is left to the program that needs it to report.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    del os.environ[_SAFE_CUDA_CHECK]
    # Otherwise a fork's first collection would copy all memory that is shared now.
    gc.collect()
    gc.freeze()
    gc.enable()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what is written meanwhile; loggers made meanwhile write later."""
    streams = (1, sys.stdout), (2, sys.stderr)
    copies = [os.dup(number) for number, _ in streams]
    with open(os.devnull, 'wb') as nowhere:
        for number, _ in streams:
            os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        for (number, stream), copy in zip(streams, copies):
            stream.flush()
            os.dup2(copy, number)
            os.close(copy)


_import_modules()
