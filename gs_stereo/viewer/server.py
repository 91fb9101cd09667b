"""The viewer's server: a viser server with the layers and panels of one scene.

It listens on loopback unless told otherwise, makes no connection to anywhere (viser's share button would open a tunnel
to a public server; it is taken out), and turns every error of a callback into a notification in the browser.
"""

import contextlib
import io
import socket
import threading
from collections.abc import Callable, Iterator

import viser

from gs_stereo.errors import ConfigError, GsStereoError
from gs_stereo.log import logger
from gs_stereo.viewer.config import ViewerConfig
from gs_stereo.viewer.contents import SceneContents
from gs_stereo.viewer.gate import Gate, NetworkNoise, guarded_start
from gs_stereo.viewer.home import find_home
from gs_stereo.viewer.layers import Layers
from gs_stereo.viewer.panels import LabelPanel, PairPanel, Stage, add_notes, add_toggles

_SECONDS_SHOWN = 15.0
_ACCENT = (38, 92, 168)
_MOST_MISSED = 5


class _PrivateServer(viser.ViserServer):
    """A viser server that cannot be published by a click in the browser."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None


class Viewer:
    """A running viewer. `url` is where it listens, with the token that opens it; `stop()` ends it."""

    def __init__(self, contents: SceneContents, config: ViewerConfig, first_dataset: str | None = None) -> None:
        self._contents, self._config = contents, config
        self._ended = threading.Event()
        # viser tries ports for ever where the address itself is wrong, so it is tried here first.
        try:
            family, kind, protocol, _, _ = socket.getaddrinfo(config.host, 0, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.bind((config.host, 0))
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"The viewer cannot listen on {config.host!r} ({error}); use 127.0.0.1, or an address of this machine."
            ) from error
        self._gate, self._noise = Gate(local=config.is_local), NetworkNoise()
        with _silence(), guarded_start(self._gate, self._connections):
            self._server = _PrivateServer(host=config.host, port=config.port, label=contents.name, verbose=False)
        self._home = find_home(contents)
        self._missed: list[str] = []
        self._layers = Layers(self._server, contents, self._home.frame, config)
        stage = Stage(
            server=self._server,
            contents=contents,
            frame=self._home.frame,
            config=config,
            layers=self._layers,
            on_error=self._show_error,
        )
        self._label: LabelPanel | None = None
        self._pair: PairPanel | None = None
        self._build(stage, first_dataset)
        add_thumbnails = self._guarded(self._layers.add_thumbnails)
        arguments = (self._ended.is_set, self._show_error)
        self._thumbnails = threading.Thread(target=add_thumbnails, args=arguments, daemon=True)
        self._thumbnails.start()

    @property
    def url(self) -> str:
        host = self._config.host
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{self._server.get_port()}/?token={self._gate.token}"

    def _connections(self) -> int:
        server = getattr(self, "_server", None)  # requests may come while it starts
        return 0 if server is None else len(server.get_clients())

    def _build(self, stage: Stage, first_dataset: str | None) -> None:
        self._server.gui.configure_theme(
            show_logo=False, show_share_button=False, control_width="large", brand_color=_ACCENT
        )
        self._server.scene.set_up_direction(stage.frame.up_in_world)
        add_notes(stage)
        if self._contents.renderer is not None:
            self._pair = PairPanel(stage)
        if self._contents.datasets:
            first = first_dataset or next(iter(self._contents.datasets))
            wanted = first_dataset is not None or self._contents.renderer is None
            self._label = LabelPanel(stage, first, visible=wanted)
        add_toggles(stage)
        self._layers.show_all(self._go_to_photo)
        view, place = self._server.initial_camera, self._home.frame.place
        view.position, view.look_at = place(self._home.position_in_world), place(self._home.target_in_world)
        view.up = self._home.frame.up_in_world
        self._server.on_client_connect(self._guarded(self._greet))

    def _greet(self, client: viser.ClientHandle) -> None:
        """Show a new browser what went wrong before, and render the pair where it looks."""
        for text in self._missed:
            _notify(client, text)
        if self._pair is not None:
            client.camera.on_update(self._guarded(self._pair.follow))
            self._pair.follow(client.camera)

    def _go_to_photo(self, index: int, client: viser.ClientHandle) -> None:
        """Fly to a photo's camera and render the pair there."""
        assert self._contents.sparse is not None
        camera = self._contents.sparse.cameras[index]
        wxyz, position = self._home.frame.pose(camera)
        with client.atomic():
            client.camera.wxyz, client.camera.position = wxyz, position
            client.camera.look_at = position + camera.world_from_cam[:3, 2]
        if self._pair is not None:
            self._pair.choose_photo(index)

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """`callback`, whose errors are shown in the browser and never end a thread of the server."""

        def call(*arguments: object) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self._show_error(error)

        return call

    def _show_error(self, error: Exception) -> None:
        if self._ended.is_set():
            return  # what still ran when the server stopped may fail, and nobody looks any more
        text = str(error) if isinstance(error, GsStereoError) else f"{type(error).__name__}: {error}"
        logger.warning("view: %s", text)
        clients = self._server.get_clients().values()
        for client in clients:
            _notify(client, text)
        if not clients:
            self._missed = [*self._missed, text][-_MOST_MISSED:]

    def stop(self) -> None:
        """End the server and its threads."""
        self._ended.set()
        for panel in (self._label, self._pair):
            if panel is not None:
                panel.stop()
        with _silence():
            self._server.stop()
        self._noise.close()


def _notify(client: viser.ClientHandle, text: str) -> None:
    client.add_notification("That did not work", text, color="red", auto_close_seconds=_SECONDS_SHOWN)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """viser prints a banner to stdout, which belongs to our own results."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
