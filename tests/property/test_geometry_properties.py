"""Laws of the geometry: rigid motions, projection, disparity, resizing and cropping, pixel conventions."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from gs_stereo.geometry.disparity import depth_from_disparity, disparity_from_depth, warp_right_to_left
from gs_stereo.geometry.pixels import (
    intrinsics_from_opencv,
    intrinsics_to_opencv,
    pixel_centres,
    pixel_index,
)
from gs_stereo.geometry.projection import inside, project, transform, unproject, unproject_depth_map
from gs_stereo.geometry.rotations import (
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    matrix_from_quaternion,
    quaternion_from_matrix,
    slerp,
)
from gs_stereo.geometry.trajectories import pose_from_rotation_and_centre
from gs_stereo.geometry.view_selection import fitted_to_size
from gs_stereo.types import Camera, StereoRig


def vectors(size: int, limit: float) -> st.SearchStrategy[np.ndarray]:
    numbers = st.floats(-limit, limit, allow_subnormal=False)
    return st.lists(numbers, min_size=size, max_size=size).map(lambda values: np.array(values, dtype=np.float64))


rotations = vectors(3, 3.0).map(matrix_from_axis_angle)
poses = st.builds(pose_from_rotation_and_centre, rotations, vectors(3, 10.0))
sides = st.integers(1, 2000)


@st.composite
def cameras(draw) -> Camera:
    width, height = draw(sides), draw(sides)
    focal = st.floats(0.3, 5.0)
    intrinsics = np.array(
        [
            [draw(focal) * width, 0, draw(st.floats(0.2, 0.8)) * width],
            [0, draw(focal) * width, draw(st.floats(0.2, 0.8)) * height],
            [0, 0, 1],
        ]
    )
    return Camera(name="c", width=width, height=height, intrinsics=intrinsics, cam_from_world=draw(poses))


# --- rigid motions -----------------------------------------------------------------------------------------------


@given(vectors(4, 1.0))
def test_a_quaternion_is_a_rotation_and_comes_back(quat):
    assume(np.linalg.norm(quat) > 1e-3)
    rotation = matrix_from_quaternion(quat)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) > 0
    back = quaternion_from_matrix(rotation)
    unit = quat / np.linalg.norm(quat)
    # q and -q are one rotation.
    assert min(np.abs(back - unit).max(), np.abs(back + unit).max()) < 1e-12
    assert back[0] >= 0


@given(vectors(3, 1.8))
def test_axis_angle_under_half_a_turn_comes_back(axis_angle):
    assume(np.linalg.norm(axis_angle) < np.pi - 1e-3)
    np.testing.assert_allclose(axis_angle_from_matrix(matrix_from_axis_angle(axis_angle)), axis_angle, atol=1e-9)


@given(rotations, rotations, st.floats(0, 1))
def test_slerp_is_the_same_from_both_ends(first, second, share):
    step = axis_angle_from_matrix(second @ first.T)
    assume(np.linalg.norm(step) < np.pi - 1e-3)
    np.testing.assert_allclose(slerp(first, second, share), slerp(second, first, 1 - share), atol=1e-9)


@given(poses, poses, poses, vectors(3, 5.0))
def test_rigid_transforms_form_a_group(a_from_b, b_from_c, c_from_d, point):
    composed = (a_from_b @ b_from_c) @ c_from_d
    np.testing.assert_allclose(composed, a_from_b @ (b_from_c @ c_from_d), atol=1e-10)
    stepwise = transform(a_from_b, transform(b_from_c, transform(c_from_d, point)))
    np.testing.assert_allclose(transform(composed, point), stepwise, atol=1e-10)
    np.testing.assert_array_equal(transform(np.eye(4), point), point)


@given(cameras(), vectors(3, 5.0), vectors(3, 5.0))
def test_the_inverse_pose_undoes_the_pose_and_keeps_distances(camera, first, second):
    np.testing.assert_allclose(camera.world_from_cam @ camera.cam_from_world, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(transform(camera.cam_from_world, camera.centre_in_world), np.zeros(3), atol=1e-10)
    moved = transform(camera.cam_from_world, np.stack([first, second]))
    np.testing.assert_allclose(np.linalg.norm(moved[0] - moved[1]), np.linalg.norm(first - second), atol=1e-10)


# --- projection --------------------------------------------------------------------------------------------------


@given(cameras(), vectors(2, 1.0), st.floats(0.01, 100))
def test_unprojected_points_project_back(camera, share, depth):
    image_xy = share * [camera.width, camera.height]
    back, z = project(camera, unproject(camera, image_xy, np.asarray(depth)))
    np.testing.assert_allclose(z, depth, rtol=1e-9, atol=1e-9)
    # World coordinates are rounded at about 1e-14; a focal length over the depth turns that into pixels.
    np.testing.assert_allclose(back, image_xy, atol=1e-12 * camera.intrinsics.max() / depth * 100 + 1e-9)


@given(cameras(), vectors(3, 5.0))
def test_points_behind_the_camera_have_no_pixel(camera, point):
    image_xy, depth = project(camera, point[None])
    assert np.isnan(image_xy).all() == (depth[0] <= 0)
    if depth[0] <= 0:
        assert not inside(camera, image_xy)[0]


@given(cameras(), vectors(2, 1.0))
def test_inside_agrees_with_the_pixel_index(camera, share):
    image_xy = (share + 0.5) * [camera.width, camera.height]
    column, row = pixel_index(image_xy)
    assert inside(camera, image_xy[None])[0] == (0 <= column < camera.width and 0 <= row < camera.height)


@given(poses, st.floats(0.5, 20))
def test_a_constant_depth_map_is_a_plane_across_the_optical_axis(pose, depth):
    intrinsics = np.array([[9.0, 0, 4], [0, 8.0, 3], [0, 0, 1]])
    camera = Camera(name="c", width=8, height=6, intrinsics=intrinsics, cam_from_world=pose)
    points = unproject_depth_map(camera, np.full((6, 8), depth))
    np.testing.assert_allclose(transform(pose, points)[..., 2], depth, atol=1e-9)
    back, _ = project(camera, points)
    np.testing.assert_allclose(back, pixel_centres(8, 6), atol=1e-7)


# --- stereo ------------------------------------------------------------------------------------------------------


@given(cameras(), st.floats(1e-3, 3), vectors(2, 1.0), st.floats(0.1, 50))
def test_a_rig_is_rectified_by_construction(camera, baseline, share, depth):
    rig = StereoRig(left=camera, baseline=baseline)
    point = unproject(camera, share * [camera.width, camera.height], np.asarray(depth))
    left, _ = project(rig.left, point)
    right, right_depth = project(rig.right, point)
    tolerance = 1e-10 * camera.intrinsics.max() / depth + 1e-9
    np.testing.assert_allclose(right[1], left[1], atol=tolerance)
    np.testing.assert_allclose(left[0] - right[0], rig.focal_times_baseline / depth, atol=tolerance)
    np.testing.assert_allclose(right_depth, depth, rtol=1e-9)
    np.testing.assert_array_equal(rig.right.cam_from_world[:3, :3], rig.left.cam_from_world[:3, :3])


@given(st.floats(1e-3, 1e3), st.floats(0.1, 1e3), st.floats(0, 50))
def test_depth_and_disparity_are_inverse(depth, focal_times_baseline, doffs):
    depths = np.array([depth, np.nan, 0.0, -depth, np.inf])
    disparity = disparity_from_depth(depths, focal_times_baseline, doffs)
    np.testing.assert_array_equal(np.isnan(disparity), [False, True, True, True, True])
    back = depth_from_disparity(disparity, focal_times_baseline, doffs)
    # doffs is subtracted and added again: its rounding counts against a small disparity.
    np.testing.assert_allclose(back[0], depth, rtol=1e-9 + 1e-14 * doffs * depth / focal_times_baseline)
    assert np.isnan(back[1:]).all()


@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 14))
def test_warping_by_whole_pixels_shifts_and_leaves_nan_outside(width, height, shift):
    right = np.random.default_rng(0).uniform(size=(height, width, 3))
    warped = warp_right_to_left(right, np.full((height, width), float(shift)))
    np.testing.assert_array_equal(np.isnan(warped).all(-1), np.broadcast_to(np.arange(width) < shift, (height, width)))
    if shift < width:
        np.testing.assert_allclose(warped[:, shift:], right[:, : width - shift], atol=1e-15)


# --- resizing, cropping, pixel conventions -----------------------------------------------------------------------


@given(cameras(), sides, sides, vectors(2, 1.0), st.floats(0.1, 50))
def test_resizing_scales_image_points(camera, width, height, share, depth):
    point = unproject(camera, share * [camera.width, camera.height], np.asarray(depth))
    before, _ = project(camera, point)
    after, z = project(camera.resized(width, height), point)
    np.testing.assert_allclose(after / [width, height], before / [camera.width, camera.height], atol=1e-7 / depth)
    np.testing.assert_allclose(z, depth, rtol=1e-9)


@given(cameras(), sides, sides)
def test_resizing_there_and_back_is_the_identity(camera, width, height):
    back = camera.resized(width, height).resized(camera.width, camera.height)
    np.testing.assert_allclose(back.intrinsics, camera.intrinsics, rtol=1e-12)


@given(cameras(), sides, sides)
def test_fitting_crops_within_the_image_and_fills_one_side(camera, width, height):
    fitted = fitted_to_size(camera, width, height)
    scale = fitted.intrinsics[0, 0] / camera.intrinsics[0, 0]
    np.testing.assert_allclose(fitted.intrinsics[1, 1] / camera.intrinsics[1, 1], scale, rtol=1e-12)
    # Corners of the new image, in pixels of the old one.
    corners = np.array([[0.0, 0.0], [width, height]])
    old = (corners - fitted.intrinsics[:2, 2]) / scale + camera.intrinsics[:2, 2]
    size = np.array([camera.width, camera.height])
    assert (old[0] >= -1e-6 * size).all()
    assert (old[1] <= size * (1 + 1e-6)).all()
    np.testing.assert_allclose(old.sum(axis=0), size, rtol=1e-6, atol=1e-6)
    assert (np.isclose(old[1] - old[0], size, rtol=1e-9)).any()


@given(vectors(2, 1e4), vectors(2, 1e3))
def test_opencv_intrinsics_move_by_half_a_pixel_and_back(focal, centre):
    theirs = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
    ours = intrinsics_from_opencv(theirs)
    np.testing.assert_allclose(ours[:2, 2] - theirs[:2, 2], 0.5, atol=1e-9)
    np.testing.assert_allclose(intrinsics_to_opencv(ours), theirs, atol=1e-9)


@given(st.integers(1, 30), st.integers(1, 30))
def test_pixel_centres_index_their_own_pixel(width, height):
    centres = pixel_centres(width, height)
    rows, columns = np.mgrid[:height, :width]
    np.testing.assert_array_equal(pixel_index(centres), np.stack([columns, rows], axis=-1))
