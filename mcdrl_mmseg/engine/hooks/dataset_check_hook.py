"""Verifies the data before a training or test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mcdrl_common import InputError

if TYPE_CHECKING:
    from mcdrl_common.verification import Report

_UNTESTABLE = ('missing folder', 'no images')
# Findings that are about more than a single file; a test ignores them.
_NOT_OF_A_FILE = (
    *_UNTESTABLE,
    'same file in two splits',
    'copy in two splits',
    'copy at two sites',
    'lesion-free site',
    'image of unknown patient',
    'image without index row',
)


class DatasetError(InputError, ValueError):
    """Data with problems; the message names the files."""


@HOOKS.register_module()
class DatasetCheckHook(Hook):
    """Stop a training on faulty data, with a list of all problems.

    File names are checked before every training. File contents are read once and their
    facts cached; a file is read again only if its size or modification time changes.
    Rank 0 does the work; all ranks stop on a problem.

    Before a test, images and masks that are not in the cache are read, and the test
    stops if one would be misread. A training opens no file of the test set: copies of
    test images are only found if the cache holds them, from ``python -m mcdrl_lab
    verify CONFIG`` or from a training on them. A missing test set gives a warning.

    Args:
        full: Whether to read files that are not in the cache.
        open_test: Whether to read files of the test set as well.
        allow: Kinds of findings that are no problem here, as
            ``'same file in two splits'``; ``python -m mcdrl_lab verify`` names them.
        jobs: Number of reading processes. None takes every processor.
        cache_dir: Folder of cache files. None takes ``MCDRL_CACHE_DIR`` or the user's
            cache folder.

    Raises:
        VerificationError: ``allow`` names an unknown kind.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='DatasetCheckHook', allow=['same file in two splits'])]
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        full: bool = True,
        open_test: bool = False,
        allow: Sequence[str] = (),
        jobs: int | None = None,
        cache_dir: str | None = None,
    ) -> None:
        # Imported late: most configs have no such hook.
        from mcdrl_common.cache_dir import default_cache_dir
        from mcdrl_common.verification.verify import check_kinds

        check_kinds(allow)
        self.full = full
        self.closed = () if open_test else ('test',)
        self.allow = tuple(allow)
        self.jobs = jobs
        self.cache_dir = Path(cache_dir) if cache_dir else default_cache_dir()

    def before_train(self, runner: Runner) -> None:
        """Verify the config's data sets.

        Raises:
            DatasetError: There are problems.
        """
        from mcdrl_mmseg.engine.main_process import on_main_process

        on_main_process(lambda: self._check(runner), DatasetError)

    def before_test(self, runner: Runner) -> None:
        """Read the files of the test set that are not in the cache.

        MMCV's loader misreads some files without an error: only the first page of
        several, LAB as RGB, 16 bits cut to 8, the intact part of a damaged file.

        Raises:
            DatasetError: A file would be misread.
        """
        from mcdrl_mmseg.engine.main_process import on_main_process

        if self.full:
            on_main_process(lambda: self._check_test(runner), DatasetError)

    def _check_test(self, runner: Runner) -> None:
        from mcdrl_common.verification import VerificationError, verify
        from mcdrl_mmseg.datasets.config_listing import list_config

        try:
            listing = list_config(
                {'test_dataloader': runner.cfg.get('test_dataloader')}
            )
        except VerificationError:
            return
        report = verify(
            listing, True, self.cache_dir, self.jobs, {*self.allow, *_NOT_OF_A_FILE}
        )
        _refuse_problems(report, 'a test')

    def _check(self, runner: Runner) -> None:
        from mcdrl_common.verification import VerificationError, verify
        from mcdrl_mmseg.datasets.config_listing import list_config

        try:
            listing = list_config(runner.cfg)
        except VerificationError:
            runner.logger.warning(
                'DatasetCheckHook checks nothing, because the data sets were not built '
                'from the config.'
            )
            return
        untestable = [
            one
            for one in listing.findings
            if one.kind in _UNTESTABLE and listing.splits_of.get(one.file) == {'test'}
        ]
        for one in untestable:
            listing.findings.remove(one)
            runner.logger.warning(f'The test set is missing: {one}')
        report = verify(
            listing, self.full, self.cache_dir, self.jobs, self.allow, self.closed
        )
        self._log_findings(runner, report)
        _refuse_problems(report, 'training')

    @staticmethod
    def _log_findings(runner: Runner, report: Report) -> None:
        runner.logger.info(f'Data verified: {report.summary}')
        if report.unread:
            runner.logger.info(
                f'{report.unread} test images were not compared with the training '
                'images, since no command has read them yet. Compare them with: '
                'python -m mcdrl_lab verify CONFIG'
            )
        for kind, group in report.by_kind():
            if not report.is_problem(kind):
                runner.logger.warning(
                    f'{kind}: {len(group)}, the first is {group[0].file}: '
                    f'{group[0].detail}. List all: python -m mcdrl_lab verify CONFIG'
                )


def _refuse_problems(report: Report, purpose: str) -> None:
    from mcdrl_common.verification import as_text

    if report.problems:
        raise DatasetError(
            f'The data are not fit for {purpose}. {as_text(report)}\n'
            'python -m mcdrl_lab verify lists all problems, and its --fix writes a '
            'corrected copy. To accept all problems of a kind, set '
            "default_hooks=dict(dataset_check=dict(allow=['KIND']))."
        )
