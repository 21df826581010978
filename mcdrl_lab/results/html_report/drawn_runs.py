"""Pictures that a report draws by running models, if models and images exist."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.results.plan_records import warn_of_other_data
from mcdrl_lab.results.scores import done

from .chosen_cases import choose_cases
from .report_source import ReportSource, checkpoint_of, config_of

if TYPE_CHECKING:
    from .run_pictures import RunModel, RunPictures


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        method: Method whose cases and attention are shown; None takes the one that
            was recorded last.
        checkpoint: Checkpoint to draw with, for all sites; None takes each run's own.
        config: Config whose test set contains the images; None takes each run's own.
        data_root: Folder of the images, if it is not the config's.
        device: As ``'cuda:0'``; None takes a GPU if there is one.
        profile_images: Images of each site from which the attention is computed.
        pictures: Whether models are run at all.
        explanations: Show below each case how the model came to its prediction.
        title: Title of the page; None makes one from the source's name.
    """

    method: str | None = None
    checkpoint: str | os.PathLike | None = None
    config: str | os.PathLike | None = None
    data_root: str | os.PathLike | None = None
    device: str | None = None
    profile_images: int = 60
    pictures: bool = True
    explanations: bool = False
    title: str | None = None


def draw_runs(
    source: ReportSource, method: str, options: ReportOptions
) -> tuple[dict[str, RunPictures], list[str]]:
    """Run the models of one method on the cases of each site.

    Args:
        source: The results.
        method: Name of the method.
        options: See :class:`ReportOptions`.

    Returns:
        Site -> pictures, and sentences on why others could not be drawn.

    Raises:
        ProtocolError: A checkpoint is damaged or not trusted.
    """
    tested, problems = _tested_models(source, method, options)
    if not tested:
        return {}, problems
    if options.data_root is not None and Path(options.data_root).is_dir():
        warn_of_other_data(done(source.records), method, Path(options.data_root))
    # Imported late: without models to run, these slow imports are not needed.
    from mcdrl_mmseg.safe_loading import CheckpointError

    from .run_pictures import RunModel, found_config

    drawn: dict[str, RunPictures] = {}
    loaded: tuple[_TestedModel, RunModel] | None = None
    for site, (record, files) in tested.items():
        try:
            # One checkpoint may serve several sites.
            if loaded is None or loaded[0] != files:
                checkpoint, config = files
                model = RunModel(
                    checkpoint,
                    config if options.config else found_config(config),
                    options.data_root,
                    options.device,
                )
                loaded = files, model
            cases = choose_cases(record.images)
            result = loaded[1].pictures(
                site, cases, options.profile_images, options.explanations
            )
        except CheckpointError as error:
            raise ProtocolError(str(error)) from error
        # A model or data set may raise any error; the report continues without it.
        except Exception as error:
            problems.append(f'{site}: {" ".join(str(error).split())}')
            continue
        drawn[site] = result
        lacking = [name for name in cases if name not in result.cases]
        if lacking:
            problems.append(
                f'{site}: the test set of the config does not contain the images of '
                f'the cases {", ".join(lacking)}.'
            )
    return drawn, problems


_File = str | os.PathLike
_TestedModel = tuple[_File, _File]


def _tested_models(
    source: ReportSource, method: str, options: ReportOptions
) -> tuple[dict[str, tuple[RunRecord, _TestedModel]], list[str]]:
    """Site -> run, its checkpoint and config; and messages on missing ones."""
    tested: dict[str, tuple[RunRecord, _TestedModel]] = {}
    problems: list[str] = []
    for site, record in source.first_runs(method).items():
        folder: Path | None = source.folders.get(record.key)
        checkpoint = options.checkpoint or (checkpoint_of(folder) if folder else None)
        config = options.config or (config_of(folder) if folder else None)
        if checkpoint is None:
            problems.append(
                f'{site}: the tested checkpoint was not found; set it with '
                '--checkpoint.'
            )
        elif config is None:
            problems.append(f'{site}: the config was not found; set it with --config.')
        else:
            tested[site] = record, (checkpoint, config)
    return tested, problems
