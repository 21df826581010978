"""Stores in checkpoints how CLIP sees the images of the training sites."""

from __future__ import annotations

import time

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mcdrl_mmseg.engine.runner import saved_weights, unwrap_model


@HOOKS.register_module()
class SiteReferenceHook(Hook):
    """Write reference statistics of the training sites into every checkpoint's meta.

    Only ``python -m mcdrl_lab site-check`` uses them, to compare a new hospital's
    images with the training sites. The statistics are quantiles of CLIP's score of each
    imaging condition at each site, and mean and main directions of the image embeddings
    of all sites. They contain no image and no value of a single image.

    CLIP's tower runs over ``images_per_site`` images of each training site, through the
    test pipeline: once in a run if the tower is frozen, else for each checkpoint, with
    the weights in the checkpoint (the averages under ``EMAHook``). If this fails, the
    checkpoint is saved without statistics, and the log says why.

    Args:
        images_per_site: Images of each site, at least
            :data:`~mcdrl_common.site_reference.MIN_IMAGES`.

    Raises:
        ValueError: Fewer ``images_per_site``.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='ConfounderDictionaryHook'),
        ...     dict(type='SiteReferenceHook', images_per_site=128)]
    """

    priority = 'NORMAL'

    def __init__(self, images_per_site: int = 128) -> None:
        from mcdrl_common.site_reference import MIN_IMAGES

        if images_per_site < MIN_IMAGES:
            raise ValueError(
                f'SiteReferenceHook: images_per_site={images_per_site} must be at '
                f'least {MIN_IMAGES}: the range of a site needs that many images.'
            )
        self.images_per_site = images_per_site
        self._taken: tuple[int | None, str | None] | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the statistics into ``checkpoint['meta']``.

        Like the saving itself, this runs in the main process only.
        """
        backbone = unwrap_model(runner).backbone
        tower = getattr(backbone, 'guide', backbone)
        # The features of a trained tower change with every step.
        trained = any(weight.requires_grad for weight in tower.parameters())
        stage = runner.iter if trained else None
        if self._taken is None or self._taken[0] != stage:
            self._taken = stage, self._take(runner)
        if self._taken[1] is not None:
            from mcdrl_common.site_reference import META_KEY

            checkpoint['meta'][META_KEY] = self._taken[1]

    def _take(self, runner: Runner) -> str | None:
        from mcdrl_mmseg.engine.training_reference import training_reference

        start = time.monotonic()
        try:
            with saved_weights(runner):
                reference = training_reference(
                    unwrap_model(runner),
                    runner.train_dataloader.dataset,
                    runner.cfg,
                    self.images_per_site,
                )
        # Users' data sets and transforms may fail in any way; the training must go on.
        except Exception as error:
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            runner.logger.warning(
                'The checkpoint is saved without the reference statistics of its '
                f'training sites: {reason}. site-check needs them. Add them with: '
                'python -m mcdrl_lab site-reference CONFIG CHECKPOINT'
            )
            return None
        runner.logger.info(
            f'Reference statistics of {len(reference.sites)} training sites taken from '
            f'{int(reference.counts.sum())} images in '
            f'{time.monotonic() - start:.1f} s.'
        )
        return reference.to_text()
