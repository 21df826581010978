"""Display values of grey DICOM images: PS3.3, C.11.1, C.11.2 and C.7.6.16.2.

pydicom does not read the functional groups of enhanced objects, and misreads some
lookup tables (8-bit tables with more than 256 entries wrap around, 12-bit modality
tables fail). Windows are applied by pydicom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pydicom

_TABLE_DEPTHS = (8, 10, 12, 14, 16)


class GreyDisplay:
    """Converts the grey frames of one object to 8 bits.

    Applies the modality table or rescaling, then the VOI table or window. Each is that
    of the frame, else the one shared by all frames, else that of the object. Without
    VOI, values of at most 8 bits keep their full range, and others are scaled from the
    range of all frames. Padding is left out of that range and shown black. Entries
    without a value count as absent.

    Args:
        data: The object; the photometric interpretation is ``MONOCHROME1`` or ``2``.
    """

    def __init__(self, data: pydicom.Dataset) -> None:
        self.data = data
        self.bits = int(data.BitsStored)

    def show(self, frame: np.ndarray, index: int) -> np.ndarray:
        """Display values of one frame.

        Args:
            frame: (H, W) integers, as stored.
            index: Number of the frame, from 0.

        Returns:
            (H, W) uint8, 255 white.
        """
        frame = self._stored_bits(frame)
        values, full_range = self._modality(frame, index)
        shown = self._value_of_interest(values, index)
        if shown is None:
            low, high = full_range or self._range_of_all_frames
            shown = 255 * (values - low) / ((high - low) or 1)
        if not np.isfinite(shown).all():
            raise ValueError('its values are NaN or infinite after rescaling')
        grey = np.rint(shown.clip(0, 255)).astype(np.uint8)
        if self.data.PhotometricInterpretation == 'MONOCHROME1':
            grey = 255 - grey
        grey[self._padding(frame)] = 0
        return grey

    def _stored_bits(self, frame: np.ndarray) -> np.ndarray:
        """Values without the unused bits, where old objects keep overlays."""
        if frame.dtype.kind == 'u' and self.bits < 8 * frame.itemsize:
            return frame & frame.dtype.type(2**self.bits - 1)
        return frame

    def _modality(
        self, frame: np.ndarray, index: int
    ) -> tuple[np.ndarray, tuple[float, float] | None]:
        """Values after the modality step; black and white for at most 8 bits."""
        low, high = 0, 2**self.bits - 1
        if self.data.PixelRepresentation == 1:
            low, high = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        ends = np.array([low, high], np.float64)
        values, bits = frame.astype(np.float64), self.bits
        for place in self._places('PixelValueTransformationSequence', index):
            if table := _first_item(place, 'ModalityLUTSequence'):
                values, bits = self._look_up(values, table)
                ends = np.array([0, 2**bits - 1], np.float64)
                break
            slope = _first_number(place, 'RescaleSlope')
            intercept = _first_number(place, 'RescaleIntercept')
            if slope is not None and intercept is not None:
                values, ends = values * slope + intercept, ends * slope + intercept
                break
        return values, (ends.min(), ends.max()) if bits <= 8 else None

    def _value_of_interest(self, values: np.ndarray, index: int) -> np.ndarray | None:
        """Values 0 to 255 by the first VOI table or window found, else None."""
        from pydicom import Dataset
        from pydicom.pixels import apply_windowing

        for place in self._places('FrameVOILUTSequence', index):
            if table := _first_item(place, 'VOILUTSequence'):
                shown, bits = self._look_up(values, table)
                return 255 * shown / (2**bits - 1)
            center = _first_number(place, 'WindowCenter')
            width = _first_number(place, 'WindowWidth')
            if center is None or not width:
                continue
            # pydicom scales to the range of the stored bits: here 0 to 255.
            window = Dataset()
            window.PhotometricInterpretation = 'MONOCHROME2'
            window.BitsStored, window.PixelRepresentation = 8, 0
            window.WindowCenter, window.WindowWidth = center, width
            window.VOILUTFunction = place.get('VOILUTFunction') or 'LINEAR'
            return apply_windowing(values, window)
        return None

    def _places(self, group: str, index: int) -> Iterator[pydicom.Dataset]:
        """Data sets that may hold a frame's attributes, the most specific first."""
        per_frame = self.data.get('PerFrameFunctionalGroupsSequence') or []
        groups = list(per_frame)[index : index + 1]
        groups += list(self.data.get('SharedFunctionalGroupsSequence') or [])[:1]
        for item in groups:
            if found := _first_item(item, group):
                yield found
        yield self.data

    @cached_property
    def _range_of_all_frames(self) -> tuple[float, float]:
        """Range of all frames, so that frames of one object stay comparable."""
        from pydicom.pixels import iter_pixels

        ranges = []
        for index, frame in enumerate(iter_pixels(self.data)):
            stored = self._stored_bits(frame)
            values = self._modality(stored, index)[0][~self._padding(stored)]
            if values.size:
                ranges.append((values.min(), values.max()))
        lows, highs = zip(*ranges) if ranges else ((0.0,), (0.0,))
        return min(lows), max(highs)

    def _padding(self, frame: np.ndarray) -> np.ndarray:
        """(H, W) bool, pixels that are padding."""
        value = _first_number(self.data, 'PixelPaddingValue')
        if value is None:
            return np.zeros(frame.shape, bool)
        limit = _first_number(self.data, 'PixelPaddingRangeLimit')
        ends = (value, value if limit is None else limit)
        return (frame >= min(ends)) & (frame <= max(ends))

    def _look_up(
        self, values: np.ndarray, item: pydicom.Dataset
    ) -> tuple[np.ndarray, int]:
        """Entries of a table, and their number of bits."""
        count, first, declared = (int(number) for number in item.LUTDescriptor)
        entries = _entries(item.LUTData, count or 2**16, self.data)
        if first >= 2**15 and values.min() < 0:
            first -= 2**16  # for signed values the first value is signed, too
        places = np.rint(values).astype(np.int64) - first
        top = int(entries.max())
        bits = declared
        if declared == _TABLE_DEPTHS[-1] or top >= 2**declared:
            # Tables stored in 16 bits often claim 16 bits but use fewer.
            bits = next(depth for depth in _TABLE_DEPTHS if top < 2**depth)
        return entries[places.clip(0, len(entries) - 1)].astype(np.float64), bits


def _entries(
    content: bytes | int | Sequence[int], count: int, data: pydicom.Dataset
) -> np.ndarray:
    """The entries of a table; 8-bit entries may be packed in pairs."""
    if isinstance(content, bytes):
        little = data.original_encoding[1] is not False
        words = np.frombuffer(content, '<u2' if little else '>u2')
    else:
        words = np.atleast_1d(np.asarray(content)).astype('<u2')
    if len(words) < count and 2 * len(words) >= count:
        return words.astype('<u2').view(np.uint8)[:count]
    return words[:count]


def _first_item(place: pydicom.Dataset, name: str) -> pydicom.Dataset | None:
    """The first item of a sequence; None if it is absent or empty."""
    items = list(place.get(name) or [])
    return items[0] if items and len(items[0]) else None


def _first_number(place: pydicom.Dataset, name: str) -> float | None:
    """The first number of an entry; None if it is absent or has no value."""
    value = place.get(name)
    if isinstance(value, list) or hasattr(value, 'append'):
        value = value[0] if len(value) else None
    return None if value is None or value == '' else float(value)
