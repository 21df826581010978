"""Label maps of a test, one file an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mcdrl_common.distinct_names import distinct_names
from mcdrl_common.written_files import (
    OutputError,
    WrittenFiles,
    check_targets,
    output_errors,
)
from mcdrl_mmseg.engine.main_process import on_main_process

_FILES = ('img_path', 'seg_map_path')


class LabelMapHook(Hook):
    """Write the predicted label map of every test image as PNG.

    It has the name of its image. Sites number their images alike: where two names are
    one, all keep the folders that tell them apart, as ``SITE/images/NAME.png``, where
    mmseg's ``IoUMetric(output_dir=...)`` leaves the map of the last one. Those of an
    earlier test are replaced, and no other file.

    Args:
        folder: Where to.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._written = WrittenFiles(self._folder)
        self._places: dict[str, Path] = {}

    def before_test(self, runner: Runner) -> None:
        """Find a place for every image.

        Raises:
            OutputError: What was not written by an earlier test is in the way.
        """
        dataset = runner.test_dataloader.dataset
        samples = [dataset.get_data_info(index) for index in range(len(dataset))]
        images = list(dict.fromkeys(str(sample['img_path']) for sample in samples))
        places = [self._folder / f'{name}.png' for name in distinct_names(images)]
        self._places = dict(zip(images, places))
        inputs = [Path(s[key]) for s in samples for key in _FILES if s.get(key)]
        on_main_process(
            lambda: check_targets(self._folder, places, inputs, overwrite=True),
            OutputError,
        )

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[SegDataSample] | None = None,
    ) -> None:
        """Write those of a batch."""
        for sample in outputs or ():
            self._write(self._places[str(sample.img_path)], sample)

    def _write(self, path: Path, sample: SegDataSample) -> None:
        import cv2

        from mcdrl_common.atomic_write import write_bytes

        labels = sample.pred_sem_seg.data.squeeze(0)
        # As the masks have them, of which class 0 is 1 then.
        labels = labels + bool(sample.get('reduce_zero_label'))
        _, code = cv2.imencode('.png', labels.byte().cpu().numpy())
        with output_errors(path):
            write_bytes(path, code.tobytes(), durable=False)
            self._written.add(path)
