"""Opens a video but no other files: FFmpeg would also read playlists of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from mcdrl_common.findings import FileProblem
from mcdrl_common.image_files import check_pixel_count

from .image_pipeline import ImageError

# Offset and magic bytes of supported containers.
_CONTAINERS = (
    (8, (b'AVI ', b'AVIX')),
    # MP4, M4V, MOV
    (4, (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')),
    # Matroska, WebM
    (0, (b'\x1aE\xdf\xa3',)),
    # MPEG: program stream, video stream
    (0, (b'\x00\x00\x01\xba', b'\x00\x00\x01\xb3')),
    # WMV
    (0, (b'0&\xb2u\x8ef\xcf\x11',)),
)
_TS_PACKET, _TS_SYNC = 188, b'G'
# FFmpeg's demuxers for them; its others include playlists of files and URLs.
_READERS = 'avi,mov,matroska,mpeg,mpegvideo,mpegts,asf'
_OPTIONS = f'format_whitelist;{_READERS}|protocol_whitelist;file'
_OPTIONS_VARIABLE = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'


@contextmanager
def opened_video(path: Path) -> Iterator[cv2.VideoCapture]:
    """Open a video file, and no other file.

    Args:
        path: The file.

    Yields:
        The opened video.

    Raises:
        ImageError: The file does not exist, is none of the containers above, cannot be
            opened by OpenCV, or has too many pixels.
    """
    if not path.is_file():
        raise ImageError(f'{path}: no such file.')
    if not _is_container(path):
        raise ImageError(
            f'{path}: its content is not a video; expected AVI, MP4, MOV, Matroska, '
            'WebM, MPEG or WMV.'
        )
    video = _open(path)
    try:
        if not video.isOpened():
            raise ImageError(
                f'{path}: OpenCV cannot open it as a video; it may be damaged.'
            )
        width = int(video.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
        try:
            check_pixel_count(width, height, 'video')
        except FileProblem as problem:
            raise ImageError(f'{path}: {problem.detail}.') from None
        yield video
    finally:
        video.release()


def _is_container(path: Path) -> bool:
    try:
        with open(path, 'rb') as file:
            start = file.read(4 * _TS_PACKET)
    except OSError as error:
        raise ImageError(f'{path}: {error.strerror}.') from None
    return (
        any(start.startswith(magic, at) for at, magic in _CONTAINERS)
        # A text file may have this pattern, but contains no NUL.
        or (start[::_TS_PACKET] == _TS_SYNC * 4 and b'\0' in start)
    )


def _open(path: Path) -> cv2.VideoCapture:
    """Use FFmpeg if OpenCV has it: others take x_01.mp4 for an image sequence."""
    if cv2.CAP_FFMPEG not in cv2.videoio_registry.getStreamBackends():
        return cv2.VideoCapture(str(path))
    before = os.environ.get(_OPTIONS_VARIABLE)
    os.environ[_OPTIONS_VARIABLE] = '|'.join(filter(None, (before, _OPTIONS)))
    try:
        return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    finally:
        if before is None:
            del os.environ[_OPTIONS_VARIABLE]
        else:
            os.environ[_OPTIONS_VARIABLE] = before
