"""Imports all modules of training and test, so that forked processes have them.

Nothing here may start a thread, open a GPU or compute: only imported modules are safe
to inherit through a fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator

# Modules that train and test import sooner or later and that are slow to import.
_MODULES = (
    'mcdrl_mmseg.apis.training',
    # Late imports, which every run would otherwise do again.
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
# Makes torch.cuda.is_available(), which packages call when imported, use NVML. The
# default would initialise CUDA, which makes it unusable in forks.
_SAFE_CUDA_CHECK = 'PYTORCH_NVML_BASED_CUDA_CHECK'


def _import_modules() -> None:
    os.environ[_SAFE_CUDA_CHECK] = '1'
    # Garbage collection takes a sixth of the import time, and modules are not garbage.
    gc.disable()
    with _silence():
        for name in _MODULES:
            # A failed import is reported later, by the program that needs the module.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    del os.environ[_SAFE_CUDA_CHECK]
    # Otherwise the first collection in a fork would copy the memory shared with it.
    gc.collect()
    gc.freeze()
    gc.enable()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discard all output within the block; loggers created in it still work later."""
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
