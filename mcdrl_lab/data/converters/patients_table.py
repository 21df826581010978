"""The user's table of which patient each image shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mcdrl_common.findings import Finding
from mcdrl_common.image_index import ImageIndexError, read_table
from mcdrl_lab.errors import ConversionError

from .input_files import ends_with
from .source import FoundSite, Sample

_SHOWN = 3


@dataclass(frozen=True)
class PatientsTable:
    """Which patient each image shows.

    Args:
        file: Where it was read from, for messages.
        patients: End of an image's path, with or without suffix -> patient.
    """

    file: Path
    patients: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> PatientsTable:
        """Read a table.

        Args:
            file: CSV with the columns ``image`` and ``patient``; it may have others.

        Raises:
            ConversionError: It cannot be read, lacks a column, or names two patients
                for one image.
        """
        try:
            columns, rows = read_table(file)
        except OSError as error:
            raise ConversionError(f'--patients {file}: {error.strerror}.') from None
        except ImageIndexError as error:
            raise ConversionError(f'--patients {error}') from None
        if not {'image', 'patient'} <= set(columns):
            raise ConversionError(
                f'--patients {file}: needs the columns image and patient, found '
                f'{columns}.'
            )
        patients: dict[str, str] = {}
        for row in rows:
            image = row['image'].strip().replace('\\', '/').removeprefix('./')
            patient = row['patient'].strip()
            if patients.setdefault(image, patient) != patient:
                raise ConversionError(
                    f'--patients {file}: {image!r} has patient {patients[image]!r} in '
                    f'one row and {patient!r} in another.'
                )
        return cls(file, patients)

    def fill(self, sites: Sequence[FoundSite]) -> None:
        """Set the patients of samples; note images and rows without a match.

        Args:
            sites: Sites with their samples; changed in place.

        Raises:
            ConversionError: No row matches, a row matches several images, or two rows
                of one image differ.
        """
        named: dict[str, str] = {}
        by_name: dict[str, list[str]] = defaultdict(list)
        for sample in (sample for site in sites for sample in site.samples):
            path = PurePosixPath(sample.image)
            for name in {path.name, path.stem}:
                by_name[name].append(sample.image)
        lost = []
        for entry, patient in self.patients.items():
            found = [
                image
                for image in by_name[PurePosixPath(entry).name]
                if _is_end(entry, image)
            ]
            if len(found) > 1:
                raise ConversionError(
                    f'--patients {self.file}: {entry!r} fits {found[0]!r} and '
                    f'{found[1]!r}: give more of its path.'
                )
            if not found:
                lost.append(entry)
            elif named.setdefault(found[0], patient) != patient:
                raise ConversionError(
                    f'--patients {self.file}: two rows give {found[0]!r} different '
                    'patients.'
                )
        if not named:
            raise ConversionError(
                f'--patients {self.file}: none of its {len(lost)} images, such as '
                f'{lost[:_SHOWN]}, is among the images found, such as '
                f'{[*by_name][:_SHOWN]}.'
            )
        for site in sites:
            site.samples = [_with_patient(site, s, named) for s in site.samples]
            if site is sites[0]:
                detail = (
                    f'listed in {self.file.name}, but no converted image has this name'
                )
                site.notes += [
                    Finding('patient without image', e, detail) for e in lost
                ]


def _with_patient(site: FoundSite, sample: Sample, named: dict[str, str]) -> Sample:
    if sample.image not in named:
        detail = 'not listed in --patients'
        site.notes.append(Finding('no patient', sample.image, detail))
        return sample
    return replace(sample, patient=named[sample.image])


def _is_end(entry: str, image: str) -> bool:
    """Whether an entry is the end of an image's path, with or without its suffix."""
    whole = str(PurePosixPath(image).with_suffix(''))
    return ends_with(image, entry) or ends_with(whole, entry)
