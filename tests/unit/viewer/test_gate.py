"""Nobody sees a scene but browsers that were opened with the address that was printed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
from published_scene import renderer

from gs_stereo.viewer.config import ViewerConfig
from gs_stereo.viewer.contents import SceneContents

viser = pytest.importorskip("viser", reason="viser is not installed")
from websockets.datastructures import Headers  # noqa: E402  (comes with viser)
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.http11 import Request  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from websockets.typing import Subprotocol  # noqa: E402

from gs_stereo.viewer.gate import Gate, NetworkNoise  # noqa: E402
from gs_stereo.viewer.server import Viewer  # noqa: E402

GATE = Gate(local=True, token="secret")
OWN = {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Upgrade": "websocket"}
COOKIE = {"Cookie": "other=1; gsstereo_token=secret"}


def refused(path: str = "/", gate: Gate = GATE, connections: int = 0, **headers: str) -> bool:
    return gate.refusal(Request(path, Headers(headers)), connections) is not None


def test_the_viewers_own_page_with_its_cookie_is_served() -> None:
    assert not refused(**OWN, **COOKIE)
    assert not refused("/?token=secret", Host="127.0.0.1:8080")
    assert not refused("/assets/viewer.js", Host="[::1]:8080")


@pytest.mark.parametrize("token", ["", "wrong", "sécret", "secrets"])
def test_without_the_token_there_is_no_page_and_no_scene(token: str) -> None:
    assert refused(f"/?token={token}", Host="localhost")
    assert refused("/index.html", Host="localhost")
    assert refused("/", **OWN, Cookie=f"gsstereo_token={token}")
    assert refused("/", **OWN)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:8081", "http://localhost:8080.evil"]
)
def test_another_web_page_is_refused_though_the_browser_sends_the_cookie(origin: str) -> None:
    assert refused(**{**OWN, "Origin": origin}, **COOKIE)


@pytest.mark.parametrize("host", ["evil.example:8080", "localhost.evil:8080", "", "[::1", "10.0.0.1"])
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    assert refused("/?token=secret", Host=host)
    assert refused(**{**OWN, "Host": host, "Origin": f"http://{host}"}, **COOKIE)
    assert not refused("/?token=secret", Gate(local=False, token="secret"), Host=host), (
        "a chosen --host may have any name"
    )


def test_the_number_of_browsers_is_bounded() -> None:
    assert not refused(connections=15, **OWN, **COOKIE)
    assert refused(connections=16, **OWN, **COOKIE)


def test_broken_connections_are_a_few_lines_without_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    noise = NetworkNoise()
    try:
        with caplog.at_level("WARNING", "gs_stereo"):
            for name in ("websockets.server", "asyncio") * 5:
                try:
                    raise ValueError("x")
                except ValueError:
                    logging.getLogger(name).exception("connection handler failed")
    finally:
        noise.close()
    assert [record.getMessage() for record in caplog.records if record.name == "gs_stereo"] == [
        "view: a connection failed (connection handler failed: ValueError)"
    ] * 3


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    running = Viewer(SceneContents(name="wall", renderer=renderer()), ViewerConfig(port=0))
    yield running
    running.stop()


def test_a_running_viewer_gives_the_cookie_and_then_the_scene(viewer: Viewer) -> None:
    place = urlsplit(viewer.url)
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"http://{place.netloc}/")
    with urlopen(HttpRequest(viewer.url)) as page:
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        assert b"<html" in page.read().lower()
    scene = f"ws://{place.netloc}/"
    version = [Subprotocol(f"viser-v{viser.__version__}")]
    own = {"origin": f"http://{place.netloc}", "subprotocols": version, "max_size": None}
    for headers, origin in (({}, own["origin"]), ({"Cookie": cookie}, "http://evil.example")):
        with pytest.raises(InvalidStatus, match="403"):
            connect(scene, additional_headers=headers, **{**own, "origin": origin}).close()
    with connect(scene, additional_headers={"Cookie": cookie}, **own) as browser:
        assert browser.recv(timeout=60)
