"""Who may talk to the viewer: browsers that were opened with its address, and no web page from elsewhere.

Any page that a browser shows may connect to a port of this machine, or to a name that it lets point here. So the
address has a token; the page that it opens gets a cookie, and only with that the scene is sent, to an origin and a host
that are the viewer's own.
"""

from __future__ import annotations

import functools
import http
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websockets.asyncio.server as websocket_server
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from gs_stereo.log import logger
from gs_stereo.viewer.config import LOOPBACK

_COOKIE = "gsstereo_token"
_MOST_MESSAGE_BYTES = 1 << 20  # browsers send camera poses and values of the panels
_MOST_CONNECTIONS = 16
_MOST_COMPLAINTS = 3
_NETWORK_LOGGERS = ("websockets", "asyncio")
Answer = Response | None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """local: only loopback names of hosts are answered. token: what the address must carry."""

    local: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    def refusal(self, request: Request, connections: int) -> Answer:
        """Why a request is not served; None if it may be."""
        host = _one(request, "Host")
        if self.local and _host_name(host) not in LOOPBACK:
            return _refused(http.HTTPStatus.FORBIDDEN, "This host name is not the viewer's.")
        if _wants_websocket(request):
            origin = _one(request, "Origin")
            if origin and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
                return _refused(http.HTTPStatus.FORBIDDEN, "Another web page may not look at this scene.")
            if connections >= _MOST_CONNECTIONS:
                return _refused(http.HTTPStatus.SERVICE_UNAVAILABLE, "Too many browsers look at this scene.")
        page = _wants_websocket(request) or urlsplit(request.path).path.strip("/") in ("", "index.html")
        if page and not self._knows_token(request):
            return _refused(http.HTTPStatus.FORBIDDEN, "Open the whole address that gsstereo view printed.")
        return None

    def welcome(self, request: Request, answer: Answer) -> Answer:
        """The answer, with the cookie for a browser that brings the token."""
        if answer is not None and self._is_token(_query_token(request)):
            answer.headers["Set-Cookie"] = f"{_COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        return answer

    def _knows_token(self, request: Request) -> bool:
        tokens = [_query_token(request)]
        for header in request.headers.get_all("Cookie"):
            try:
                morsel = SimpleCookie(header).get(_COOKIE)
            except CookieError:
                continue
            tokens.append("" if morsel is None else morsel.value)
        return any(self._is_token(token) for token in tokens)

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode("utf-8", "replace"), self.token.encode("ascii"))


@contextmanager
def guarded_start(gate: Gate, connections: Callable[[], int]) -> Iterator[None]:
    """Servers that viser starts inside of the block ask the gate first. connections: how many there are now."""
    serve = websocket_server.serve

    def serve_guarded(*arguments: Any, process_request: Callable[..., Answer], **options: Any) -> Any:
        def answer(connection: Any, request: Request) -> Answer:
            refused = gate.refusal(request, connections())
            return refused or gate.welcome(request, process_request(connection, request))

        options["max_size"] = _MOST_MESSAGE_BYTES
        return serve(*arguments, process_request=answer, **options)

    websocket_server.serve = functools.wraps(serve)(serve_guarded)  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        websocket_server.serve = serve  # type: ignore[misc]


class NetworkNoise(logging.Handler):
    """What the network libraries complain about (broken requests, lost browsers): a few lines, no tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._count = 0
        self._before = {name: logging.getLogger(name).propagate for name in _NETWORK_LOGGERS}
        for name in _NETWORK_LOGGERS:
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self._count += 1
        if self._count <= _MOST_COMPLAINTS:
            error = record.exc_info[1] if record.exc_info else None
            cause = f": {type(error).__name__}" if error else ""
            logger.warning("view: a connection failed (%s%s)", " ".join(record.getMessage().split())[:120], cause)

    def close(self) -> None:
        for name, propagate in self._before.items():
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).propagate = propagate
        super().close()


def _wants_websocket(request: Request) -> bool:
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def _one(request: Request, name: str) -> str:
    """A header that must not come twice; empty if it does, or is not there."""
    values = request.headers.get_all(name)
    return values[0] if len(values) == 1 else ""


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _query_token(request: Request) -> str:
    return parse_qs(urlsplit(request.path).query).get("token", [""])[0]


def _refused(status: http.HTTPStatus, text: str) -> Response:
    body = f"{text}\n".encode()
    headers = Headers({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
    return Response(status.value, status.phrase, headers, body)
