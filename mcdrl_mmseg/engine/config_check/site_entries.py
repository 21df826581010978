"""The sites of a config: invalid entries, and a held-out site in the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs

from mcdrl_common.config_datasets import plain_datasets
from mcdrl_common.sites import Site, SiteDataError
from mcdrl_mmseg.datasets.endoscopy_sites import EndoscopySiteDataset
from mcdrl_mmseg.evaluation import SiteLesionMetric

from .config_components import Component
from .config_problem import ConfigProblem
from .unknown_arguments import accepted

_KNOWN_KEYS = accepted(Site)[0]


def site_problems(
    cfg: Mapping[str, Any], parts: Sequence[Component]
) -> Iterator[ConfigProblem]:
    """Invalid site entries, and training on a held-out site."""
    for part in parts:
        if part.is_a(EndoscopySiteDataset):
            yield from _entries(part)
            yield from _steps(part, parts)
    held_out = cfg.get('held_out_site')
    for data in plain_datasets((cfg.get('train_dataloader') or {}).get('dataset')):
        names = [_name(site) for site in data.get('sites') or ()]
        names.append((data.get('metainfo') or {}).get('site'))
        if held_out is not None and held_out in names:
            yield ConfigProblem(
                'train_dataloader.dataset.sites',
                f'contains held_out_site={held_out!r}: the model would be tested on '
                'its training images.',
                'Remove it; leave-one-site-out sets the sites of every fold.',
            )


def _entries(part: Component) -> Iterator[ConfigProblem]:
    for number, site in enumerate(part.cfg.get('sites') or ()):
        place = part.at(f'sites[{number}]')
        # Unknown keys are reported elsewhere, with the nearest known key.
        if isinstance(site, Mapping) and not set(site) <= _KNOWN_KEYS:
            continue
        try:
            Site.from_cfg(site)
        except SiteDataError as error:
            yield ConfigProblem(place, str(error), 'See docs/datasets.md.')


def _steps(data: Component, parts: Sequence[Component]) -> Iterator[ConfigProblem]:
    """Transforms that lose the data set's mask format or an image's site."""
    loader = data.place.partition('_')[0]
    by_site = any(
        part.place.startswith(f'{loader}_evaluator') and part.is_a(SiteLesionMetric)
        for part in parts
    )
    for step in parts:
        if not step.place.startswith(data.at('pipeline')):
            continue
        if step.is_a(LoadAnnotations):
            yield ConfigProblem(
                step.at('type'),
                'uses the values in a mask as labels, and ignores mask_values and '
                'lesion_classes of the sites.',
                "Use dict(type='LoadLesionMask').",
            )
        names = step.cfg.get('meta_keys', ())
        if by_site and step.is_a(PackSegInputs) and 'site' not in names:
            yield ConfigProblem(
                step.at('meta_keys'),
                "lack 'site': SiteLesionMetric would treat all images as images of "
                'one site.',
                "Add 'site', 'lesion_classes' and 'sequence'.",
            )


def _name(site: Any) -> Any:
    return site.get('name') if isinstance(site, Mapping) else site
