"""ONNX models: feeding, reading, sizes, both directions, provenance, and files that are broken or hostile."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from tiny_onnx import save_echo, save_endless, save_halves, save_matcher, save_stacked, textured_pair

from gs_stereo.config import parse_config
from gs_stereo.core.hashing import sha256_file
from gs_stereo.errors import ConfigError, GsStereoError, InputError, PluginError, StageError
from gs_stereo.matching.onnx import OnnxMatcher
from gs_stereo.matching.onnx_config import OnnxConfig, OnnxModelDescription, load_description

SIZE = (64, 96)
SHIPPED = sorted((Path(__file__).parents[3] / "configs" / "experts").glob("*.yaml"))


def matcher(model: Path, tmp_path: Path, config: dict[str, Any] | None = None, **description: Any) -> OnnxMatcher:
    """A matcher for a tiny model; without a description it gets the shipped one of FoundationStereo."""
    values: dict[str, Any] = {"model": model, "provider": "cpu", "threads": 1, **(config or {})}
    if description:
        import yaml

        described = {"name": "tiny", "licence": "MIT", "inputs": ["left", "right"], "output": "disp", **description}
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(described), encoding="utf-8")
        values["description"] = str(path)
    return OnnxMatcher(OnnxConfig(**values))


def interior(disparity: np.ndarray, left: int = 20, border: int = 3) -> np.ndarray:
    return disparity[border:-border, left:-border]


def test_the_exported_foundation_stereo_layout_works_with_the_shipped_description(tmp_path: Path) -> None:
    left, right = textured_pair(SIZE, 7.0)
    before = left.copy(), right.copy()
    prediction = matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path).predict(left, right)
    assert prediction.disparity.shape == SIZE
    assert prediction.disparity.dtype == np.float32
    assert prediction.confidence is None
    np.testing.assert_array_equal(interior(prediction.disparity), 7.0)
    np.testing.assert_array_equal((left, right), before)


def test_the_answer_is_the_same_every_time(tmp_path: Path) -> None:
    pair = textured_pair(SIZE, 4.0)
    expert = matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path)
    first = expert.predict(*pair).disparity
    np.testing.assert_array_equal(first, expert.predict(*pair).disparity)


@pytest.mark.parametrize("size", [(70, 110), (80, 128), (57, 83), (128, 192)])
def test_resizing_rescales_the_disparity_by_the_exact_ratio_of_the_widths(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    ratio = size[1] / SIZE[1]
    left, right = textured_pair(size, 6.0 * ratio)
    expert = matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path, {"when_size_differs": "resize"})
    disparity = expert.predict(left, right).disparity
    assert disparity.shape == size
    share = np.mean(np.abs(interior(disparity, left=30) - 6.0 * ratio) < 1e-4)
    assert share > 0.97


def test_tiles_agree_with_the_whole_image(tmp_path: Path) -> None:
    left, right = textured_pair((100, 300), 12.0)
    expert = matcher(
        save_matcher(tmp_path / "m.onnx", SIZE),
        tmp_path,
        {"when_size_differs": "tile", "tile_overlap_px": 8, "max_disparity_px": 16},
    )
    disparity = expert.predict(left, right).disparity
    assert disparity.shape == (100, 300)
    np.testing.assert_array_equal(interior(disparity), 12.0)


def test_tiles_need_the_left_margin(tmp_path: Path) -> None:
    left, right = textured_pair((100, 300), 12.0)
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    settings = {"when_size_differs": "tile", "tile_overlap_px": 8}
    without = matcher(model, tmp_path, {**settings, "max_disparity_px": 0.1}).predict(left, right).disparity
    assert np.any(interior(without) != 12.0)
    with_hint = matcher(model, tmp_path, settings).predict(left, right, max_disparity_px=16).disparity
    np.testing.assert_array_equal(interior(with_hint), 12.0)


def test_auto_resizes_a_little_and_tiles_a_lot(tmp_path: Path) -> None:
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    expert = matcher(model, tmp_path, {"tile_overlap_px": 4, "max_disparity_px": 16})
    resized = expert.predict(*textured_pair((70, 105), 5.0)).disparity
    assert np.median(resized) == pytest.approx(5 * 105 / 96)  # a whole pixel of the net, in pixels of the image
    tiled = expert.predict(*textured_pair((100, 200), 13.0)).disparity
    np.testing.assert_array_equal(interior(tiled), 13.0)


def test_too_small_tiles_are_refused(tmp_path: Path) -> None:
    expert = matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path, {"when_size_differs": "tile"})
    with pytest.raises(InputError, match="too small for disparities up to 90 px"):
        expert.predict(*textured_pair((100, 300), 5.0), max_disparity_px=90)


def test_a_free_size_is_padded_to_the_multiple(tmp_path: Path) -> None:
    left, right = textured_pair((50, 77), 5.0)
    disparity = matcher(save_matcher(tmp_path / "m.onnx", ("h", "w")), tmp_path).predict(left, right).disparity
    assert disparity.shape == (50, 77)
    np.testing.assert_array_equal(interior(disparity), 5.0)


@pytest.mark.parametrize("side", ["split", "right_bottom"])
def test_padding_lands_where_the_description_says(tmp_path: Path, side: str) -> None:
    image = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    echo = save_echo(tmp_path / "m.onnx", [1, 3, "h", "w"], weights=(3.0, 0.0, 0.0))
    answer = matcher(echo, tmp_path, pad_multiple=8, pad_side=side).predict(image, image).disparity
    np.testing.assert_allclose(answer, image[..., 0], atol=1e-3)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_pixels_arrive_in_the_layout_order_and_units_of_the_description(
    tmp_path: Path, layout: str, colour: str
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    shape: list[int | str] = [1, 3, 8, 12] if layout == "NCHW" else [1, 8, 12, 3]
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 0.125]
    expert = matcher(
        save_echo(tmp_path / "m.onnx", shape),
        tmp_path,
        layout=layout,
        colour=colour,
        pixel_range="0-1",
        mean=mean,
        std=std,
        scale=2.0,
        confidence_output="sure",
    )
    ordered = image if colour == "RGB" else image[..., ::-1]
    expected = ((ordered / 255 - mean) / std * (1, 10, 100)).mean(axis=-1)
    prediction = expert.predict(image, image)
    np.testing.assert_allclose(prediction.disparity, np.where(expected >= 0, 2 * expected, np.nan), rtol=1e-4)
    assert prediction.confidence is not None
    np.testing.assert_allclose(prediction.confidence, np.clip(expected, 0, 1), rtol=1e-4, atol=1e-6)


def test_grey_and_uint8_inputs(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    grey = matcher(save_echo(tmp_path / "g.onnx", [1, 1, 8, 12], weights=(1.0,)), tmp_path, colour="grey")
    np.testing.assert_allclose(grey.predict(image, image).disparity, image @ [0.299, 0.587, 0.114], rtol=1e-5)
    echo = save_echo(tmp_path / "u.onnx", [1, 3, 8, 12], element=TensorProto.UINT8, weights=(3.0, 0.0, 0.0))
    answer = matcher(echo, tmp_path, name="tiny").predict(image, image).disparity
    np.testing.assert_allclose(answer, image[..., 0], rtol=1e-6)
    with pytest.raises(ConfigError, match="takes uint8"):
        matcher(echo, tmp_path, pixel_range="0-1").predict(image, image)


def test_one_stacked_input_and_half_resolution(tmp_path: Path) -> None:
    left = np.full((8, 12, 3), 100, np.uint8)
    right = np.full((8, 12, 3), 90, np.uint8)
    expert = matcher(save_stacked(tmp_path / "m.onnx", (8, 12)), tmp_path, inputs=["pair"], output_stride=2, scale=0.5)
    np.testing.assert_allclose(expert.predict(left, right).disparity, 5.0)


def test_negative_outputs_become_positive_disparities(tmp_path: Path) -> None:
    left, right = textured_pair(SIZE, 7.0)
    model = save_matcher(tmp_path / "m.onnx", SIZE, negative=True)
    np.testing.assert_array_equal(interior(matcher(model, tmp_path, sign="negative").predict(left, right).disparity), 7)
    assert np.isnan(interior(matcher(model, tmp_path, sign="positive").predict(left, right).disparity)).all()


def test_the_left_right_check_removes_what_the_right_image_does_not_confirm(tmp_path: Path) -> None:
    left, right = textured_pair(SIZE, 7.0)
    left = left.copy()
    left[20:40, 50:70] = np.random.default_rng(0).integers(0, 256, (20, 20, 3))  # in no right image
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    free = matcher(model, tmp_path).predict(left, right).disparity
    checked = matcher(model, tmp_path, {"left_right_px": 1.0}).predict(left, right).disparity
    patch = np.s_[24:36, 54:66]
    assert np.isfinite(free[patch]).all()
    assert np.isnan(checked[patch]).mean() > 0.8
    np.testing.assert_array_equal(checked[45:60, 20:80], 7.0)
    both = matcher(model, tmp_path).predict_both(left, right)
    np.testing.assert_array_equal(interior(both[1].disparity[45:], left=3)[:, :-20], 7.0)


def test_provenance_names_weights_licence_and_settings_but_no_paths(tmp_path: Path) -> None:
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    provenance = matcher(model, tmp_path, {"left_right_px": 1.5}).provenance
    assert provenance.name == "foundationstereo-onnx"
    assert "non-commercial" in provenance.licence
    assert provenance.weights_sha256 == sha256_file(model)
    assert provenance.settings["left_right_px"] == 1.5
    assert str(tmp_path) not in str(provenance)
    (tmp_path / "m.onnx.data").write_bytes(b"external weights")
    assert matcher(model, tmp_path).provenance.weights_sha256 != sha256_file(model)


def test_the_licence_is_announced_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    with caplog.at_level("WARNING", logger="gs_stereo"):
        for _ in range(2):
            matcher(model, tmp_path, licence="only on Sundays").predict(*textured_pair(SIZE, 4.0))
    assert [record.message for record in caplog.records if "only on Sundays" in record.message] == [
        "tiny is used under its licence: only on Sundays. Its labels carry this notice."
    ]


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"no model at all", b"\x08\x08" + b"\xff" * 5000])
def test_a_broken_model_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(content)
    with pytest.raises(InputError, match=r"Cannot load the ONNX model .*m\.onnx"):
        matcher(model, tmp_path).predict(*textured_pair(SIZE, 1.0))


def test_damaged_models_raise_named_errors_and_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Random damage: whatever onnxruntime makes of it, the user sees one sentence, and stdout stays clean."""
    whole = save_matcher(tmp_path / "m.onnx", (32, 48), disparities=4).read_bytes()
    pair, rng, refusals = textured_pair((32, 48), 2.0), np.random.default_rng(0), []
    path = tmp_path / "damaged.onnx"
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(len(damaged), size=3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            matcher(path, tmp_path, {"timeout_s": 20}).predict(*pair)
        except GsStereoError as error:
            refusals.append(str(error))
    not_text = whole.replace(b"batch_size", b"batch\xb5size")
    path.write_bytes(not_text)
    with pytest.raises(InputError, match="names that are no text"):
        matcher(path, tmp_path).predict(*pair)
    assert len(refusals) > 30
    assert not any("\n" in refusal for refusal in refusals)
    assert capfd.readouterr().out == ""


def test_a_truncated_model_is_an_input_error(tmp_path: Path) -> None:
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    whole = model.read_bytes()
    for share in (0.1, 0.5, 0.99):
        model.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError):
            matcher(model, tmp_path).predict(*textured_pair(SIZE, 1.0))


def test_a_model_that_points_outside_of_its_folder_is_an_input_error(tmp_path: Path) -> None:
    import onnx
    from onnx.external_data_helper import set_external_data

    path = save_matcher(tmp_path / "m.onnx", SIZE)
    proto = onnx.load(str(path))
    tensor = next(each for each in proto.graph.initializer if each.name == "sign")
    set_external_data(tensor, location="../../secret.bin", length=4)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match="Cannot load the ONNX model"):
        matcher(path, tmp_path).predict(*textured_pair(SIZE, 1.0))


def test_a_model_that_never_ends_is_stopped(tmp_path: Path) -> None:
    expert = matcher(save_endless(tmp_path / "m.onnx", SIZE), tmp_path, {"timeout_s": 0.5})
    with pytest.raises(StageError, match=r"ran longer than 0\.5 s"):
        expert.predict(*textured_pair(SIZE, 1.0))


def test_wrong_names_and_shapes_are_explained(tmp_path: Path) -> None:
    pair = textured_pair(SIZE, 1.0)
    other = save_matcher(tmp_path / "other.onnx", SIZE, names="other")
    with pytest.raises(InputError, match=r"inputs \['a', 'b'\] and outputs \['out'\]"):
        matcher(other, tmp_path).predict(*pair)
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    with pytest.raises(ConfigError, match="correct the layout or remove the size"):
        matcher(model, tmp_path, size=[32, 32]).predict(*pair)
    with pytest.raises(InputError, match="output_channel or output_stride"):
        matcher(model, tmp_path, output_stride=2).predict(*pair)
    with pytest.raises(InputError, match="output_channel"):
        matcher(model, tmp_path, output_channel=1).predict(*pair)


def test_images_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    left, right = textured_pair(SIZE, 1.0)
    expert = matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path)
    with pytest.raises(InputError, match="of one size"):
        expert.predict(left, right[:-1])
    with pytest.raises(InputError, match="uint8"):
        expert.predict(left / 255.0, right / 255.0)


def test_missing_files_and_descriptions_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no ONNX model"):
        OnnxMatcher(OnnxConfig(model=tmp_path / "none.onnx"))
    model = save_matcher(tmp_path / "m.onnx", SIZE)
    with pytest.raises(ConfigError, match=r"There is no configs/experts/nosuch.yaml.*foundationstereo"):
        OnnxMatcher(OnnxConfig(model=model, description="nosuch"))


def test_a_provider_that_is_not_there_is_a_plugin_error(tmp_path: Path) -> None:
    import onnxruntime

    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime offers TensorRT")
    with pytest.raises(PluginError, match="has no tensorrt"):
        matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path, {"provider": "tensorrt"}).predict(
            *textured_pair(SIZE, 4.0)
        )


def test_a_gpu_that_does_not_start_is_told_apart_from_a_broken_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import onnxruntime

    real, asked = onnxruntime.InferenceSession, []

    def session(path: str, options: Any, *, providers: list[tuple[str, dict[str, str]]], **named: Any) -> Any:
        asked.append([name for name, _ in providers])
        if providers[0][0] == "CUDAExecutionProvider":
            raise RuntimeError("CUDA driver version is insufficient")
        return real(path, options, providers=providers, **named)

    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    model, pair = save_matcher(tmp_path / "m.onnx", SIZE), textured_pair(SIZE, 7.0)
    with caplog.at_level("WARNING", logger="gs_stereo"):
        np.testing.assert_array_equal(
            interior(matcher(model, tmp_path, {"provider": "auto"}).predict(*pair).disparity), 7.0
        )
    assert asked[0] == offered
    assert "cannot start cuda (CUDA driver version is insufficient) and runs on the CPU" in caplog.text
    with pytest.raises(PluginError, match="cannot start cuda .*provider=cpu"):
        matcher(model, tmp_path, {"provider": "cuda"}).predict(*pair)
    model.write_bytes(b"broken")
    with pytest.raises(InputError, match="Cannot load the ONNX model"):
        matcher(model, tmp_path, {"provider": "cuda"}).predict(*pair)


def test_without_onnxruntime_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
        return real(name, *rest, **named)

    expert = matcher(save_matcher(tmp_path / "m.onnx", SIZE), tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PluginError, match=r"gs_stereo\[experts\]"):
        expert.predict(*textured_pair(SIZE, 1.0))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_description_is_valid(path: Path) -> None:
    description = load_description(path.stem)
    assert description == load_description(str(path))
    assert len(description.licence) > 5


def test_descriptions_that_contradict_themselves_are_refused() -> None:
    base = {"name": "x", "licence": "MIT", "inputs": ["l", "r"], "output": "d"}
    for wrong in ({"std": [1, 0, 1]}, {"mean": [1, 2]}, {"colour": "grey", "mean": [1, 2, 3]}, {"licence": ""}):
        with pytest.raises(ConfigError):
            parse_config(OnnxModelDescription, {**base, **wrong}, where="a test")


def test_importing_the_matcher_loads_no_heavy_library() -> None:
    code = (
        "import sys, gs_stereo.matching.onnx, gs_stereo.matching.foundation_stereo;"
        "print([name for name in ('torch', 'cv2', 'onnxruntime', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_that_also_takes_both_images_at_half_size(tmp_path: Path) -> None:
    """The difference of both eyes is counted once at full and once at half size."""
    left, right = np.full((*SIZE, 3), 90, np.uint8), np.full((*SIZE, 3), 70, np.uint8)
    model = save_halves(tmp_path / "crestereo_combined_iter2.onnx", SIZE)
    expert = OnnxMatcher(OnnxConfig(model=model, description="crestereo", provider="cpu", threads=1))
    np.testing.assert_array_equal(expert.predict(left, right).disparity, np.float32(40))


def test_inputs_that_the_description_does_not_name_are_listed(tmp_path: Path) -> None:
    expert = matcher(save_halves(tmp_path / "m.onnx", SIZE), tmp_path)
    with pytest.raises(InputError, match="init_left.*next_right"):
        expert.predict(*textured_pair(SIZE, 4.0))
