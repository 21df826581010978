"""Description of a data set, and what its converter finds in the files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from mcdrl_common.findings import Finding

from .input_files import FileTree
from .masks import Mask


@dataclass(frozen=True)
class Sample:
    """An image and where its mask comes from.

    Args:
        image: Path relative to the input.
        mask: Its mask.
        name: Name wanted for the converted files, without ending.
        sequence: Video it was taken from; empty if not known.
        patient: Patient; empty if not known.
    """

    image: str
    mask: Mask
    name: str
    sequence: str = ''
    patient: str = ''


@dataclass
class FoundSite:
    """What was found for one site.

    Args:
        site: Its name, and that of its folder.
        lesion_classes: Its lesion classes; the class of index 1 comes first.
        ignore: Whether masks may hold 255 for ignored pixels.
        samples: Images with their masks, in the order of their paths.
        problems: Files that cannot be used.
        notes: What else is worth reporting.
        images: Image files seen.
        masks: Mask files or annotated images seen.
    """

    site: str
    lesion_classes: tuple[str, ...]
    ignore: bool = False
    samples: list[Sample] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    images: int = 0
    masks: int = 0

    @property
    def indexed(self) -> bool:
        """Whether masks are written as class indices instead of 0 and 255."""
        return self.ignore or len(self.lesion_classes) > 1

    def mask_values(self) -> dict[int, str]:
        """Value in the written masks -> its meaning."""
        if not self.indexed:
            return {0: 'background', 255: self.lesion_classes[0]}
        values = {0: 'background', **dict(enumerate(self.lesion_classes, start=1))}
        return values | ({255: 'ignore'} if self.ignore else {})


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A data set as it is published.

    Args:
        title: Name of the data set.
        url: Where to get it.
        licence: Its terms, in a few words.
        layout: The files expected, in words.
        checked: Which parts were checked against real files, and which only against
            descriptions.
    """

    title: str
    url: str
    licence: str
    layout: str
    checked: str

    @property
    @abstractmethod
    def sites(self) -> tuple[str, ...]:
        """Names of the sites the data set may hold."""

    @abstractmethod
    def find(self, tree: FileTree) -> list[FoundSite]:
        """Find images and masks without reading them.

        Args:
            tree: All files.

        Returns:
            The sites that have any files, none if the layout is not there.

        Raises:
            ConversionError: The data set as a whole cannot be used.
        """
