"""Label maps of a test, one file per image."""

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

    A map has the name of its image. Different sites often use the same file names; then
    all maps keep the folders in which they differ, as ``SITE/images/NAME.png``, whereas
    mmseg's ``IoUMetric(output_dir=...)`` would overwrite all but the last. Maps of an
    earlier test are replaced; other files are not.

    Args:
        folder: Folder of the maps.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._written = WrittenFiles(self._folder)
        self._places: dict[str, Path] = {}

    def before_test(self, runner: Runner) -> None:
        """Choose a path for every image.

        Raises:
            OutputError: A path exists and was not written by an earlier test.
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
        """Write the label maps of a batch."""
        for sample in outputs or ():
            self._write(self._places[str(sample.img_path)], sample)

    def _write(self, path: Path, sample: SegDataSample) -> None:
        import cv2

        from mcdrl_common.atomic_write import write_bytes

        labels = sample.pred_sem_seg.data.squeeze(0)
        # Values as in the masks: with reduce_zero_label class 0 has the value 1.
        labels = labels + bool(sample.get('reduce_zero_label'))
        _, code = cv2.imencode('.png', labels.byte().cpu().numpy())
        with output_errors(path):
            write_bytes(path, code.tobytes(), durable=False)
            self._written.add(path)
