"""The web application: a page and the few HTTP routes that it uses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcdrl_lab.pictures import jpeg

from .examples import Example
from .page_content import Explainer, color_scale
from .upload_memory import Upload, UploadMemory
from .uploads import UploadError, read_upload

_LOGGER = logging.getLogger(__name__)
_PAGE = Path(__file__).with_name('page')
_UPLOAD_TYPE = 'application/octet-stream'
# Time limit of an upload, in seconds.
_UPLOAD_S = 60.0
# The memory for all uploads together, in uploads of the largest allowed size.
_HELD_UPLOADS = 16
_HEADERS = {
    # No content from other sites, only the page's own scripts and styles, no framing.
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    # A browser must not keep images of patients in its cache on disk.
    'Cache-Control': 'no-store',
}


def build_app(
    explainer: Explainer,
    title: str,
    max_bytes: int,
    examples: Sequence[Example] = (),
    allowed_hosts: Sequence[str] = ('127.0.0.1', 'localhost'),
) -> Starlette:
    """Build the application. It stores nothing: an image is dropped after the answer.

    Args:
        explainer: Computes the answers.
        title: Name of the model on the page.
        max_bytes: Largest upload.
        examples: Images that the page offers.
        allowed_hosts: Accepted ``Host`` headers; ``'*'`` accepts any. This refuses
            another site whose name resolves to this machine (DNS rebinding).
    """
    service = _Service(explainer, title, max_bytes, examples)
    return Starlette(
        routes=[
            Route('/scale.jpg', service.scale),
            Route('/info', service.info),
            Route('/examples/{number:int}', service.example),
            Route('/examples/{number:int}/thumbnail', service.thumbnail),
            Route('/explain', service.explain, methods=['POST']),
            Route('/predict', service.predict, methods=['POST']),
            Mount('/', StaticFiles(directory=_PAGE, html=True)),
        ],
        middleware=[
            Middleware(_WithHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts)),
        ],
        exception_handlers={HTTPException: _show_error},
    )


class _Service:
    """The handlers of the routes."""

    def __init__(
        self,
        explainer: Explainer,
        title: str,
        max_bytes: int,
        examples: Sequence[Example],
    ) -> None:
        self.explainer = explainer
        self.title = title
        self.max_bytes = max_bytes
        self.examples = examples
        # One request at a time: more would only compete for the same processor.
        self.turn = anyio.CapacityLimiter(1)
        self.uploads = UploadMemory(_HELD_UPLOADS * max_bytes)

    async def info(self, request: Request) -> Response:
        return JSONResponse(
            {
                'title': self.title,
                'gate': self.explainer.gate,
                'threshold': self.explainer.threshold,
                'guarantee': self.explainer.guarantee,
                'max_bytes': self.max_bytes,
                'examples': [example.name for example in self.examples],
            }
        )

    async def scale(self, request: Request) -> Response:
        return Response(jpeg(color_scale()), media_type='image/jpeg')

    async def example(self, request: Request) -> Response:
        # Never a type that the browser would render: the content is not trusted.
        return Response(self._named(request).content, media_type=_UPLOAD_TYPE)

    async def thumbnail(self, request: Request) -> Response:
        return Response(self._named(request).thumbnail, media_type='image/jpeg')

    def _named(self, request: Request) -> Example:
        number = request.path_params['number']
        if number >= len(self.examples):
            raise HTTPException(404, 'There is no such example.')
        return self.examples[number]

    async def explain(self, request: Request) -> Response:
        return await self._answer(
            request, lambda content: self.explainer.explanation(read_upload(content))
        )

    async def predict(self, request: Request) -> Response:
        gate = _gate(request)
        return await self._answer(
            request,
            lambda content: self.explainer.prediction(read_upload(content), gate),
        )

    async def _answer(
        self, request: Request, work: Callable[[bytes], dict[str, Any]]
    ) -> Response:
        with self.uploads.upload(_UPLOAD_S) as upload:
            content = await self._read(request, upload)
            self.uploads.mark_complete(upload)
            return await self._work(work, content)

    async def _work(
        self, work: Callable[[bytes], dict[str, Any]], content: bytes
    ) -> Response:
        try:
            answer = await anyio.to_thread.run_sync(work, content, limiter=self.turn)
        except UploadError as error:
            raise HTTPException(422, str(error)) from None
        # One bad image must not end the service, whatever error the model raises.
        except Exception:
            _LOGGER.exception('The model failed on an image.')
            raise HTTPException(
                500, 'The model failed on this image; the terminal shows why.'
            ) from None
        return JSONResponse(answer)

    async def _read(self, request: Request, upload: Upload) -> bytes:
        """Read the request's body into memory, within the size and time limits."""
        # Another site cannot send this type: its form has no such type, and its script
        # needs a CORS preflight, which gets no permission here.
        if request.headers.get('content-type') != _UPLOAD_TYPE:
            raise HTTPException(415, f'Expected an image sent as {_UPLOAD_TYPE}.')
        content = bytearray()
        try:
            with upload.scope:
                async for chunk in request.stream():
                    if len(content) + len(chunk) > self.max_bytes:
                        limit = self.max_bytes / 1e6
                        raise HTTPException(
                            413,
                            f'The file is larger than {limit:g} MB. Shrink the image.',
                        )
                    await upload.take(len(chunk))
                    content += chunk
        except ClientDisconnect:
            raise HTTPException(400, 'The upload was interrupted.') from None
        if upload.broken_off:
            raise HTTPException(
                503, 'Too many uploads at once, and this one took longest. Try again.'
            )
        if upload.scope.cancelled_caught:
            raise HTTPException(408, f'The upload took longer than {_UPLOAD_S:g} s.')
        return bytes(content)


def _gate(request: Request) -> float:
    text = request.query_params.get('gate', '')
    try:
        gate = float(text)
    except ValueError:
        gate = -1.0
    # Written so that NaN is refused too.
    if not 0 <= gate <= 1:
        raise HTTPException(400, f'gate={text!r} must be a number from 0 to 1.')
    return gate


async def _show_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({'error': error.detail}, error.status_code)


class _WithHeaders:
    """Adds :data:`_HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)
