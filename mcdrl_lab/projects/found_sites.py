"""Finds the hospitals in a folder: their images, masks and lesion classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from mcdrl_common.classes_file import read_classes
from mcdrl_common.image_index import INDEX_FILE, image_stem, read_table
from mcdrl_common.json_files import read_json
from mcdrl_common.site_files import IMAGE_SUFFIXES
from mcdrl_common.sites import NO_LESION, Site
from mcdrl_lab.errors import ProtocolError

_IMAGES = ('images', 'image', 'imgs', 'img', 'photos', 'frames', 'jpegimages')
_MASKS = (
    'masks',
    'mask',
    'annotations',
    'labels',
    'segmentations',
    'ground truth',
    'gt',
)


def find_sites(root: Path, lesion_class: str | None = None) -> list[Site]:
    """List the hospitals of a folder.

    Layouts are tried in this order: an ``index.csv`` whose columns ``image`` and
    ``mask`` name files below the folder; ``images/`` and ``masks/``, either of one
    hospital or each with one subfolder per hospital; one folder per hospital with both
    in it, as the converters write it. Beside an index, folders of hospitals that it
    does not list are added, as in ``verify``.

    Args:
        root: The folder.
        lesion_class: Class that the masks show; None takes it from ``classes.json``, a
            converter's report or the column ``classes`` of the index.

    Returns:
        The sites by name, with paths relative to the folder.

    Raises:
        InputError: No such folder, no known layout, or a site whose lesion class is
            given nowhere.
    """
    if not root.is_dir():
        raise ProtocolError(
            f'{root} does not exist or is not a folder: expected the folder of the '
            'hospitals.'
        )
    places = _indexed(root)
    if places:
        read = {_top_folder(*item) for item in places.items()}
        below = _below_sites(root).items()
        places |= {name: place for name, place in below if name not in read}
    else:
        places = _below_parts(root) or _below_sites(root)
    if not places:
        raise ProtocolError(
            f'{root} holds no hospital in a known layout: expected SITE/images and '
            'SITE/masks, images/ and masks/, images/SITE and masks/SITE, or an '
            f'{INDEX_FILE} with columns site, image and mask. Convert other folders '
            'with python -m mcdrl_lab convert folder, or convert coco '
            '(docs/own_data.md).'
        )
    known = _indexed_classes(root)
    return [
        _site(root, name, place, lesion_class, known.get(name, ()))
        for name, place in sorted(places.items())
    ]


def folders_left_out(root: Path, sites: Iterable[Site]) -> list[str]:
    """Folders with images that belong to none of the hospitals.

    Args:
        root: The folder.
        sites: The result of :func:`find_sites` for the folder.

    Returns:
        Paths relative to the folder, sorted.
    """
    read = {
        root / (site.folder or site.name) / part
        for site in sites
        for part in (site.img_dir, site.mask_dir)
    }
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != '.']
        suffixes = {Path(name).suffix.lower() for name in files if name[0] != '.'}
        if suffixes & IMAGE_SUFFIXES and Path(place) not in read:
            found.append(Path(place).relative_to(root).as_posix())
    return sorted(found)


def _site(
    root: Path,
    name: str,
    place: Mapping[str, str],
    lesion_class: str | None,
    indexed: Iterable[str],
) -> Site:
    values = read_classes(root / place.get('folder', name))
    if values:
        classes = [c for c in values.values() if c not in NO_LESION]
        return Site.from_cfg(
            dict(name=name, lesion_classes=classes, mask_values=values, **place)
        )
    classes = [lesion_class] if lesion_class else _reported(root, name) or [*indexed]
    if not classes:
        raise ProtocolError(
            f'{name}: the lesion class of its masks is not recorded. Give it with '
            '--class, such as --class polyp.'
        )
    return Site.from_cfg(dict(name=name, lesion_classes=classes, **place))


def _reported(root: Path, name: str) -> list[str]:
    """Lesion classes of a site from the converter's report; empty without one."""
    report = root / 'reports' / f'{name}.json'
    try:
        return [str(c) for c in read_json(report)['lesion_classes']]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _index(root: Path) -> list[dict[str, str]]:
    file = root / INDEX_FILE
    if not file.is_file():
        return []
    columns, rows = read_table(file)
    return rows if {'site', 'image'} <= set(columns) else []


def _indexed_classes(root: Path) -> dict[str, list[str]]:
    """Site -> its lesion classes in the index, in the order of the rows."""
    classes: dict[str, dict[str, None]] = {}
    for row in _index(root):
        names = [n.strip() for n in row.get('classes', '').split(';') if n.strip()]
        classes.setdefault(row['site'].strip(), {}).update(dict.fromkeys(names))
    return {site: list(names) for site, names in classes.items()}


def _indexed(root: Path) -> dict[str, dict[str, str]]:
    """Site -> its folders from the index; empty if the index has no paths."""
    folders: dict[str, dict[str, set[str]]] = {}
    for row in _index(root):
        image, mask = (row.get(k, '').replace('\\', '/') for k in ('image', 'mask'))
        if '/' not in image or '/' not in mask:
            return {}
        if image_stem(image.strip()) != image_stem(mask.strip()):
            raise ProtocolError(
                f'{root / INDEX_FILE}: {image} and {mask} have different names, but '
                'images and masks are paired by name here: masks of other images would '
                'be used. Rename them with python -m mcdrl_lab convert folder '
                '--mask-suffix.'
            )
        site = folders.setdefault(
            row['site'].strip(), {'img_dir': set(), 'mask_dir': set()}
        )
        site['img_dir'].add(str(PurePosixPath(image.strip()).parent))
        site['mask_dir'].add(str(PurePosixPath(mask.strip()).parent))
    places = {}
    for name, parts in folders.items():
        for key, found in parts.items():
            if len(found) > 1:
                raise ProtocolError(
                    f'{root / INDEX_FILE}: the files of site {name!r} are in several '
                    f'folders ({key}: {sorted(found)}); expected one folder of images '
                    'and one of masks. Put them together with python -m mcdrl_lab '
                    'convert folder.'
                )
        place = {key: found.pop() for key, found in parts.items()}
        if all(path.startswith(f'{name}/') for path in place.values()):
            place = {key: path[len(name) + 1 :] for key, path in place.items()}
            places[name] = _plain(place)
        else:
            places[name] = {'folder': '.', **place}
    return places


def _top_folder(name: str, place: Mapping[str, str]) -> str:
    """The folder directly below the root that contains an indexed site's images."""
    if place.get('folder') == '.':
        return PurePosixPath(place['img_dir']).parts[0]
    return name


def _plain(place: dict[str, str]) -> dict[str, str]:
    """Folders of a site without those that have the default name."""
    usual = {'img_dir': 'images', 'mask_dir': 'masks'}
    return {key: path for key, path in place.items() if usual.get(key) != path}


def _below_parts(root: Path) -> dict[str, dict[str, str]]:
    """Sites of a root that itself has a folder of images and one of masks."""
    parts = _parts(root)
    if parts is None:
        return {}
    images, masks = parts
    names = _folders(root / images) & _folders(root / masks)
    if not names:
        place = _plain({'img_dir': images, 'mask_dir': masks})
        return {root.resolve().name: {'folder': '.', **place}}
    return {
        name: {
            'folder': '.',
            'img_dir': f'{images}/{name}',
            'mask_dir': f'{masks}/{name}',
        }
        for name in names
    }


def _below_sites(root: Path) -> dict[str, dict[str, str]]:
    """Sites that each have their own folder with images and masks."""
    places = {}
    for name in _folders(root):
        parts = _parts(root / name)
        if parts is not None:
            places[name] = _plain({'img_dir': parts[0], 'mask_dir': parts[1]})
    return places


def _parts(folder: Path) -> tuple[str, str] | None:
    """Names of a folder's subfolders for images and masks; None if one is missing."""
    by_name = {name.lower().replace('_', ' '): name for name in _folders(folder)}
    found = [
        next((by_name[name] for name in known if name in by_name), None)
        for known in (_IMAGES, _MASKS)
    ]
    return None if None in found else (str(found[0]), str(found[1]))


def _folders(folder: Path) -> set[str]:
    return {
        path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != '.'
    }
