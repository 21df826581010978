"""The metric that a config names: ``val_evaluator = dict(type='SiteLesionMetric')``."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

if TYPE_CHECKING:
    # Imported late where used: registering the metric needs none of these.
    import numpy as np

    from mcdrl_common.site_scores import Metrics

    from .distinct_images import ImageResult
    from .sample_reader import EvaluatedImage

SCOPED_METRICS = {
    'mDice_fg',
    'mDice_fg_all',
    'mIoU_fg',
    'mAcc_fg',
    'mHD95',
    'false_positive_rate',
    'lesion_images',
    'mDice',
    'mIoU',
    'pooled_lesion_recall',
    'ECE',
    'Brier',
}
"""Metrics of sites, lesion types and classes that go to the runner's log."""


@METRICS.register_module()
class SiteLesionMetric(BaseMetric):
    """Foreground scores per image, by site and by lesion type.

    The headline ``mDice_fg`` is the mean, over images with a lesion, of the
    foreground Dice of the image at native size. No mean includes the background, and
    images without a lesion are reported separately. Scores are in [0, 1] (not per
    cent), distances in pixels; docs/metrics.md defines all metrics.

    The runner gets all overall metrics and a selection per site and lesion type;
    undefined metrics are NaN. The file ``records_path`` holds all metrics, with null
    for NaN.

    Examples:
        >>> val_evaluator = dict(type='SiteLesionMetric', surface=False)
        >>> default_hooks = dict(
        ...     checkpoint=dict(
        ...         type='CheckpointHook', save_best='mDice_fg', rule='greater'))

    Args:
        surface: Whether to compute HD95 and normalised surface Dice with MONAI,
            which costs about ten times as much as all the rest.
        surface_tolerance: Tolerance of the surface Dice: a number of pixels, or
            a share of the image diagonal such as ``'0.5%'``.
        thresholds: Whether to compute the means over 256 thresholds.
        ignore_index: Label of pixels without ground truth.
        records_path: JSON file for the per-image records and all metrics; each
            evaluation replaces it. None writes no file.
        collect_device: As in mmengine's ``BaseMetric``.
        prefix: As in ``BaseMetric``; the default leaves the names as they are.
        collect_dir: As in ``BaseMetric``.
        calibration: Whether to compute calibration errors and Brier score of the
            lesion probability (by site, and near the lesions' outlines), the share of
            lesions that each of a grid of thresholds misses, and the network's
            confidence in each image.

    Raises:
        ImportError: If ``surface`` is set and MONAI is not installed.
        ValueError: If ``surface_tolerance`` is invalid, or ``records_path`` is a file
            that this metric did not write.
    """

    default_prefix = ''

    def __init__(
        self,
        surface: bool = True,
        surface_tolerance: float | str = '0.5%',
        thresholds: bool = True,
        ignore_index: int = 255,
        records_path: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
        calibration: bool = True,
    ) -> None:
        from mcdrl_common.image_records import check_records_path

        from .surface import require_monai, tolerance_in_pixels

        super().__init__(collect_device, prefix, collect_dir)
        tolerance_in_pixels(surface_tolerance, 1, 1)
        if surface:
            require_monai()
        if records_path is not None:
            check_records_path(records_path)
        self.surface = surface
        self.surface_tolerance = surface_tolerance
        self.thresholds = thresholds
        self.calibration = calibration
        self.ignore_index = ignore_index
        self.records_path = records_path
        self._dataset_size = 0
        self._said: set[str] = set()

    def process(
        self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Measure the images of one batch.

        Args:
            data_batch: Not used.
            data_samples: One dict an image, with ``gt_sem_seg``, ``seg_logits``
                and / or ``pred_sem_seg``, and the metainfo.

        Raises:
            ValueError: If a sample lacks masks, or sizes or labels do not fit.
        """
        from .distinct_images import ImageResult
        from .image_record import image_record
        from .sample_reader import read_sample

        names = self._class_names
        for sample in data_samples:
            image = read_sample(
                sample, len(names) or 2, self.thresholds or self.calibration
            )
            for key, note in image.notes:
                self._log_once(key, note)
            record = image_record(
                image,
                names,
                self.ignore_index,
                self.surface_tolerance if self.surface else None,
                self.thresholds,
                self.calibration,
            )
            of_probability = self._of_probability(image) if self.calibration else {}
            self.results.append(
                ImageResult(
                    image.site,
                    image.img_path,
                    image.seg_map_path,
                    record,
                    **of_probability,
                )
            )

    def _of_probability(self, image: EvaluatedImage) -> dict[str, np.ndarray | None]:
        from .calibration_counts import calibration_histograms
        from .missed_lesions import missed_shares

        if image.probability is None:
            return {}
        valid = image.target != self.ignore_index
        lesion = (image.target != 0) & valid
        return dict(
            calibration=calibration_histograms(image.probability, lesion, valid),
            missed=missed_shares(image.probability, lesion),
        )

    def evaluate(self, size: int) -> dict[str, float]:
        """Collect the results of all processes and compute the metrics.

        mmengine truncates the joined results to ``size``, and older versions to the
        shortest process; both may drop an image and keep a repeated one. Therefore each
        process passes on its results as a single item, and
        :func:`~.distinct_images.distinct_results` joins them.

        Args:
            size: Number of images in the dataset.

        Returns:
            The metrics, the same in every process.
        """
        self._dataset_size = size
        self.results: list = [self.results]
        try:
            return super().evaluate(get_world_size())
        finally:
            self.results = []
            self._said.clear()

    def compute_metrics(self, results: list[list[ImageResult]]) -> dict[str, float]:
        """Turn the collected results into metrics; runs in the main process only.

        Args:
            results: The results of every process, by rank.

        Returns:
            Metrics for the runner; NaN where undefined.
        """
        from mcdrl_common.image_records import write_records
        from mcdrl_common.site_reliability import scoped_calibration
        from mcdrl_common.site_scores import (
            aggregate,
            sites_without_lesion,
            worst_site,
        )

        from .distinct_images import distinct_results

        distinct = distinct_results(results, self._dataset_size)
        records = [result.record for result in distinct]
        metrics = aggregate(records)
        histograms = _by_site(distinct) if self.calibration else {}
        if self.calibration:
            metrics.update(scoped_calibration(histograms))
        self._report(records, metrics)
        if self.records_path is not None:
            write_records(
                self.records_path,
                dict(
                    settings=self._settings(),
                    metrics=metrics,
                    worst_site=worst_site(records),
                    sites_without_lesion=sites_without_lesion(records),
                    sites=_site_parts(distinct, histograms),
                    images=records,
                ),
            )
        return self._for_runner(metrics)

    @property
    def _class_names(self) -> tuple[str, ...]:
        return tuple((self.dataset_meta or {}).get('classes') or ())

    def _settings(self) -> dict:
        from .surface import HAUSDORFF_PERCENTILE

        return dict(
            surface=self.surface,
            surface_tolerance=self.surface_tolerance,
            hausdorff_percentile=HAUSDORFF_PERCENTILE,
            thresholds=self.thresholds,
            calibration=self.calibration,
            ignore_index=self.ignore_index,
            classes=list(self._class_names),
        )

    def _for_runner(self, metrics: Metrics) -> dict[str, float]:
        from .report_table import columns_left_out

        left_out = columns_left_out(self.surface, self.thresholds)
        chosen = {}
        for key, value in metrics.items():
            scope, _, name = key.rpartition('/')
            if name not in left_out and (not scope or name in SCOPED_METRICS):
                chosen[key] = math.nan if value is None else value
        return chosen

    def _report(self, records: list[dict], metrics: Metrics) -> None:
        """Log the tables, with the notes needed to read them."""
        from mcdrl_common.site_scores import sites_without_lesion

        from .report_table import (
            calibration_table,
            class_table,
            columns_left_out,
            lesion_table,
            lesion_wise_table,
            site_table,
        )

        left_out = columns_left_out(self.surface, self.thresholds)
        background = self._class_names[:1] or ('class 0',)
        tables = (
            site_table(records, left_out),
            lesion_table(records, left_out),
            lesion_wise_table(records),
            class_table(records),
            calibration_table(metrics) if self.calibration else None,
        )
        text = '\n'.join(table for table in tables if table is not None)
        print_log(
            f'foreground scores in %, background ({background[0]!r}) left out:\n{text}',
            logger='current',
        )
        if len(records) != self._dataset_size:
            self._warn(
                f'{len(records)} different images were evaluated, but the dataset '
                f'has {self._dataset_size} entries'
            )
        if not any(record['has_lesion'] for record in records):
            self._warn(
                'no evaluated image holds a lesion, so every foreground score is '
                'undefined (nan): check the masks (0 is background, '
                f'{self.ignore_index} is ignored)'
            )
            return
        for site in sites_without_lesion(records):
            self._warn(
                f'site {site!r}: no image holds a lesion. Its foreground scores are '
                'undefined (nan) and left out of the mean of sites and the worst site'
            )
        unlabelled = sum(record['pixels'] == 0 for record in records)
        if unlabelled:
            self._warn(f'{unlabelled} images have no pixel with ground truth')

    def _log_once(self, key: str, message: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._warn(f'{message} (reported once per evaluation)')

    @staticmethod
    def _warn(message: str) -> None:
        print_log(message, logger='current', level=logging.WARNING)


def _by_site(results: Sequence[ImageResult]) -> dict[str, np.ndarray | None]:
    """Summed histograms by site; None for a site with an image without probability."""
    sites: dict[str, list[np.ndarray | None]] = {}
    for result in results:
        sites.setdefault(result.site, []).append(result.calibration)
    return {site: _sum_of_all(parts) for site, parts in sites.items()}


def _site_parts(
    results: Sequence[ImageResult], histograms: Mapping[str, np.ndarray | None]
) -> dict[str, dict]:
    """Entries of the records file for each site whose images have a probability."""
    from mcdrl_common.site_reliability import site_calibration, site_missed

    sites = {}
    for site, counts in histograms.items():
        if counts is None:
            continue
        parts = sites[site] = dict(calibration=site_calibration(counts))
        own = [r.missed for r in results if r.site == site]
        with_lesion = [shares for shares in own if shares is not None]
        if with_lesion:
            parts['missed'] = site_missed(with_lesion)
    return sites


def _sum_of_all(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    # Histograms of a single image are int32; their sum could overflow.
    return sum((part.astype('int64') for part in known[1:]), known[0].astype('int64'))
