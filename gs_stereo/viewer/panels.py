"""The controls beside the 3D view: what is shown, the label of a sample, and the live pair.

Names in a scene's files are untrusted: they are only ever put into plain-text controls, never into Markdown or HTML
unescaped. Slow work (reading shards, rendering) goes to a `NewestWins` thread.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import viser
from jaxtyping import UInt8

from gs_stereo.core.markup import el
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.colour_maps import side_by_side
from gs_stereo.imaging.images import fitting_size, shrink_to_edge
from gs_stereo.types import Camera, StereoRig
from gs_stereo.viewer.config import ViewerConfig
from gs_stereo.viewer.contents import SceneContents
from gs_stereo.viewer.frame import BrowserView, DisplayFrame
from gs_stereo.viewer.layers import Layers, toggles
from gs_stereo.viewer.live_pair import baseline_range, render_live_pair
from gs_stereo.viewer.newest import NewestWins
from gs_stereo.viewer.pictures import Colouring, disparity_colours, label_points

FREE_VIEW = "The 3D view"
_LONGEST_NAME = 60
_NOTE_STYLE = "padding:0 0.75em;font-size:0.85em;overflow-wrap:anywhere"
_COLOURINGS: dict[str, Colouring] = {"confidence": "confidence", "the image": "image"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """What every panel works on."""

    server: viser.ViserServer
    contents: SceneContents
    frame: DisplayFrame
    config: ViewerConfig
    layers: Layers
    on_error: Callable[[Exception], None]

    @property
    def unit(self) -> str:
        return "m" if self.contents.is_metric else "units"


def numbered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names as options of a menu: numbered, so that no two are equal, and short."""
    return tuple(f"{number + 1}. {name[:_LONGEST_NAME]}" for number, name in enumerate(names))


def hidden_picture(gui: viser.GuiApi, title: str) -> viser.GuiImageHandle:
    """A place for a picture that is yet to be made."""
    return gui.add_image(np.zeros((1, 1, 3), dtype=np.uint8), label=title, visible=False)


def show_picture(place: viser.GuiImageHandle, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Put a picture into its place."""
    place.image = picture
    place.visible = True


def add_notes(stage: Stage) -> None:
    """What is missing and what makes it."""
    if not stage.contents.notes:
        return
    lines = (el("p", note, style="margin:0 0 0.5em") for note in stage.contents.notes)
    with stage.server.gui.add_folder("Not there"):
        stage.server.gui.add_html(el("div", lines, style=_NOTE_STYLE))


def add_toggles(stage: Stage) -> None:
    """A checkbox for each part of the 3D view."""
    with stage.server.gui.add_folder("Show"):
        for title, (node, shown) in toggles(stage.contents).items():
            box = stage.server.gui.add_checkbox(title, shown)

            @box.on_update
            def _(event: viser.GuiEvent[viser.GuiCheckboxHandle], node: str = node) -> None:
                stage.layers.show(node, visible=event.target.value)


class LabelPanel:
    """The label of a sample as a point cloud, thresholded by confidence. Only for scenes with a data set."""

    def __init__(self, stage: Stage, first_dataset: str, *, visible: bool) -> None:
        self._stage, self._datasets = stage, stage.contents.datasets
        self._worker = NewestWins("label", stage.on_error)
        self._sample: tuple[tuple[str, int], ShardSample] | None = None
        gui = stage.server.gui
        with gui.add_folder("Label"):
            self._visible = gui.add_checkbox("Show", visible)
            self._dataset = gui.add_dropdown("Data set", tuple(self._datasets), initial_value=first_dataset)
            self._choice = gui.add_dropdown("Sample", self._names())
            self._confidence = gui.add_slider("Confidence", 0.0, 1.0, 0.01, 0.0, hint="Hide points that are less sure.")
            self._colour = gui.add_dropdown("Colour by", tuple(_COLOURINGS))
            self._count = gui.add_markdown("")
            self._picture = hidden_picture(gui, "Left | label")
        self._dataset.on_update(lambda _: self._change_dataset())
        for control in (self._visible, self._choice, self._confidence, self._colour):
            control.on_update(lambda _: self.refresh())
        self.refresh()

    def _names(self) -> tuple[str, ...]:
        return numbered(self._datasets[self._dataset.value].sample_ids) or ("none",)

    def _change_dataset(self) -> None:
        self._choice.options = self._names()
        self.refresh()

    def refresh(self) -> None:
        """Show the label as the controls say, soon."""
        self._worker.submit(self._show)

    def _show(self) -> None:
        if not self._visible.value:
            self._stage.layers.show("/label", visible=False)
            return
        sample = self._read()
        if sample is None:
            return
        colouring = _COLOURINGS[self._colour.value]
        points = label_points(sample, self._confidence.value, colouring, self._stage.config.max_points)
        self._stage.layers.show_label(points, visible=True)
        self._count.content = f"{len(points):,} points; baseline {sample.baseline:.4g} {self._stage.unit}"

    def _read(self) -> ShardSample | None:
        """The chosen sample; kept, because the threshold changes more often than the sample."""
        dataset, names = self._dataset.value, self._names()
        if self._choice.value not in names or not self._datasets[dataset].sample_ids:
            return None
        key = (dataset, names.index(self._choice.value))
        if self._sample is None or self._sample[0] != key:
            self._sample = (key, self._datasets[dataset].read(key[1]))
            self._show_picture(self._sample[1])
        return self._sample[1]

    def _show_picture(self, sample: ShardSample) -> None:
        strip = side_by_side(sample.left, disparity_colours(sample.disparity))
        show_picture(self._picture, shrink_to_edge(strip, 2 * self._stage.config.max_render_edge_px))

    def stop(self) -> None:
        self._worker.stop()


class PairPanel:
    """A pair rendered by our engine as the baseline moves. Only for scenes with a splat."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cameras = stage.contents.sparse.cameras if stage.contents.sparse else ()
        self._worker = NewestWins("live pair", stage.on_error)
        self._latest: BrowserView | None = None
        gui = stage.server.gui
        choices = (FREE_VIEW, *numbered(tuple(camera.name for camera in self._cameras)))
        span = baseline_range(stage.frame, next(iter(stage.contents.rigs.values()), ()))
        with gui.add_folder("Live pair"):
            self._view = gui.add_dropdown("Left eye", choices, hint="Where the pair is rendered.")
            self._baseline = gui.add_slider(f"Baseline ({stage.unit})", 0.0, span.largest, span.step, span.usual)
            self._caption = gui.add_markdown("Rendering...")
            self._eyes = hidden_picture(gui, "Left | right")
            self._disparity = hidden_picture(gui, "Disparity")
        for control in (self._view, self._baseline):
            control.on_update(lambda _: self.refresh())

    def choose_photo(self, index: int) -> None:
        """Render at the camera of a photo from now on."""
        self._view.value = self._view.options[index + 1]  # type: ignore[misc] # viser's setter has another type

    def follow(self, camera: viser.CameraHandle) -> None:
        """A browser's camera moved: render there, if the pair is to follow the 3D view."""
        aspect = camera.image_width / max(camera.image_height, 1)
        self._latest = BrowserView(
            wxyz=camera.wxyz, position=camera.position, vertical_fov_rad=camera.fov, aspect=aspect
        )
        if self._view.value == FREE_VIEW:
            self.refresh()

    def refresh(self) -> None:
        """Render the pair as the controls say, soon."""
        self._worker.submit(self._render)

    def _camera(self) -> Camera | None:
        edge = self._stage.config.max_render_edge_px
        index = self._view.options.index(self._view.value) - 1
        if index >= 0:
            camera = self._cameras[index]
            return camera.resized(*fitting_size(camera.width, camera.height, edge))
        return None if self._latest is None else self._stage.frame.camera_at(self._latest, edge)

    def _render(self) -> None:
        camera, renderer = self._camera(), self._stage.contents.renderer
        if camera is None or renderer is None:
            return
        pair = render_live_pair(renderer, StereoRig(left=camera, baseline=self._baseline.value))
        self._caption.content = pair.caption
        show_picture(self._eyes, pair.eyes)
        show_picture(self._disparity, pair.disparity)

    def stop(self) -> None:
        self._worker.stop()
