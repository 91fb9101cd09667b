"""The server without a browser: addresses, clean output, nothing that publishes the scene, errors that wait."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
from builders import tiny_scene
from published_scene import publish_everything, publish_reconstruction, renderer
from typer.testing import CliRunner

from gs_stereo.cli import view_verb
from gs_stereo.cli.main import app
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.viewer.config import ViewerConfig
from gs_stereo.viewer.contents import SceneContents
from gs_stereo.viewer.pictures import ColouredPoints

pytest.importorskip("viser", reason="viser is not installed")
ANY_PORT = ViewerConfig(port=0)
LONG_S = 300.0  # only met when something is broken


@pytest.fixture(scope="module")
def viewer() -> Iterator:
    from gs_stereo.viewer.server import Viewer

    scene, _ = tiny_scene(3)
    running = Viewer(SceneContents(name="wall", sparse=scene, photo=broken_photo, renderer=renderer()), ANY_PORT)
    yield running
    running.stop()


def broken_photo(name: str) -> np.ndarray:
    raise InputError(f"The photo {name} cannot be read (it is empty); replace or remove it.")


def test_broken_photos_are_told_once_to_the_next_browser(viewer) -> None:
    viewer._thumbnails.join(LONG_S)
    assert viewer._missed == ["The photo 000.png cannot be read (it is empty); replace or remove it."]


def test_nothing_in_the_browser_can_publish_the_scene(viewer) -> None:
    assert viewer._server.request_share_url() is None
    assert viewer._server._share_tunnel is None


def test_what_a_browser_cannot_draw_stays_away(viewer) -> None:
    xyz = np.array([[0.0, 0, 1], [np.nan, 0, 1], [0, np.inf, 1], [1e300, 0, 1]])
    viewer._layers.show_label(ColouredPoints(xyz_in_world=xyz, rgb=np.zeros((4, 3), np.uint8)), visible=True)
    cloud = viewer._server.scene.get_handle_by_name("/label")
    assert cloud.points.shape == (1, 3)
    assert np.isfinite(cloud.points).all()


def test_a_taken_port_is_not_fought_over(viewer) -> None:
    from gs_stereo.viewer.server import Viewer

    taken = urlsplit(viewer.url).port
    other = Viewer(SceneContents(name="wall", renderer=renderer()), ViewerConfig(port=taken))
    try:
        assert urlsplit(other.url).port > taken
    finally:
        other.stop()


def test_a_click_on_a_photo_flies_there_and_renders_the_pair_there(viewer) -> None:
    client = SimpleNamespace(camera=SimpleNamespace(), atomic=nullcontext)
    viewer._go_to_photo(1, client)
    camera = viewer._contents.sparse.cameras[1]
    scale = viewer._home.frame.display_per_unit
    np.testing.assert_allclose(client.camera.position, camera.centre_in_world * scale)
    np.testing.assert_allclose(client.camera.wxyz, [1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(client.camera.look_at - client.camera.position, [0, 0, 1], atol=1e-12)
    assert viewer._pair._view.value == f"2. {camera.name}"
    viewer._pair.refresh()
    assert viewer._pair._worker.wait_until_idle(LONG_S)
    assert f"{camera.width} x {camera.height} px" in viewer._pair._caption.content
    assert viewer._pair._eyes.visible


def test_after_the_end_errors_of_threads_are_nobodys_concern(caplog: pytest.LogCaptureFixture) -> None:
    from gs_stereo.viewer.server import Viewer

    ended = Viewer(SceneContents(name="wall", renderer=renderer()), ANY_PORT)
    ended._guarded(broken_photo)("a.png")
    assert len(ended._missed) == 1
    ended.stop()
    caplog.clear()
    ended._guarded(broken_photo)("b.png")
    assert len(ended._missed) == 1
    assert not caplog.records


@pytest.mark.parametrize("host", ["256.1.1.1", "no such host", "8.8.8.8"])
def test_an_impossible_address_is_a_sentence_and_not_a_hang(host: str) -> None:
    from gs_stereo.viewer.server import Viewer

    with pytest.raises(ConfigError, match="cannot listen on"):
        Viewer(SceneContents(name="wall", renderer=renderer()), ViewerConfig(host=host))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as the address was said."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(view_verb, "threading", SimpleNamespace(Event=lambda: SimpleNamespace(wait=interrupt)))


@pytest.mark.usefixtures("at_once")
def test_stdout_carries_the_address_only_and_other_addresses_are_warned_about(tmp_path: Path) -> None:
    publish_everything(tmp_path)
    result = CliRunner().invoke(app, ["view", str(tmp_path), "--port", "0", "--json", "--host", "0.0.0.0"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["url"].startswith("http://0.0.0.0:")
    assert "nothing is encrypted" in result.stderr
    quiet = CliRunner().invoke(app, ["view", str(tmp_path), "--port", "0", "--dataset", "splat"])
    assert quiet.exit_code == 0
    assert quiet.stdout.startswith("Open http://127.0.0.1:")
    assert "encrypted" not in quiet.stderr


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    publish_reconstruction(tmp_path / "gsstereo")
    result = CliRunner().invoke(app, ["view", str(tmp_path), "--dataset", "splat"])
    assert result.exit_code == 3
    assert "There is no data set 'splat'" in result.stderr
    assert "there are: none" in result.stderr


def test_without_viser_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_reconstruction(tmp_path / "gsstereo")
    monkeypatch.setitem(sys.modules, "viser", None)
    for name in ("server", "panels", "layers"):
        monkeypatch.delitem(sys.modules, f"gs_stereo.viewer.{name}", raising=False)
    result = CliRunner().invoke(app, ["view", str(tmp_path)])
    assert result.exit_code == 2
    assert "pip install 'gs_stereo[viewer]'" in result.stderr
