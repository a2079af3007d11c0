"""The ray caster against C MuJoCo's own rays."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from tests.sim.random_worlds import (
    KINDS,
    mujoco_cast,
    mujoco_model,
    random_camera,
    random_scene,
    stacked,
)
from wamjax.sim.render import Camera, cast, render

SCENES = 200
PIXELS = 48


def pixel_directions(camera: Camera) -> np.ndarray:
    """Unit rays through the pixel centres, in float64, written down a second time."""
    top = np.tan(np.deg2rad(float(camera.fovy)) / 2)
    place = (np.arange(PIXELS) + 0.5) / PIXELS * 2 - 1
    x, y = np.meshgrid(place * top, -place * top)
    local = np.stack([x, y, -np.ones_like(x)], -1).reshape(-1, 3)
    local /= np.linalg.norm(local, axis=1, keepdims=True)
    return local @ np.asarray(camera.rotation, np.float64).T


def away_from_edges(geom: np.ndarray) -> np.ndarray:
    """Rays whose 3 x 3 neighbours all hit the same geom."""
    image = np.pad(geom.reshape(PIXELS, PIXELS), 1, mode="edge")
    same = np.ones((PIXELS, PIXELS), bool)
    for row in range(3):
        for column in range(3):
            same &= image[row : row + PIXELS, column : column + PIXELS] == image[1:-1, 1:-1]
    return same.ravel()


@pytest.fixture(scope="module")
def worlds():
    scenes = [random_scene(seed) for seed in range(SCENES)]
    cameras = [random_camera(seed) for seed in range(SCENES)]
    rays = np.stack([pixel_directions(camera) for camera in cameras])
    truth = [
        mujoco_cast(*mujoco_model(scene), np.asarray(camera.position), directions)
        for scene, camera, directions in zip(scenes, cameras, rays, strict=True)
    ]
    distance, geom, normal = (np.stack(parts) for parts in zip(*truth, strict=True))
    return scenes, cameras, rays, distance, geom, normal


@pytest.fixture(scope="module")
def images(worlds):
    scenes, cameras = worlds[:2]
    draw = jax.jit(jax.vmap(lambda s, c: render(KINDS, s, c, PIXELS, PIXELS)))
    return jax.tree.map(np.asarray, draw(stacked(scenes), stacked(cameras)))


def test_first_hit_is_mujocos(worlds):
    scenes, cameras, rays, distance, geom, _ = worlds
    shoot = jax.jit(jax.vmap(lambda s, c, d: cast(KINDS, s, c.position, d)))
    ours_distance, ours = map(
        np.asarray,
        shoot(stacked(scenes), stacked(cameras), jnp.asarray(rays, jnp.float32)),
    )
    inner = np.stack([away_from_edges(row) for row in geom])
    same = ours == geom
    near = same & inner & (geom >= 0) & (distance < 10)
    error = np.abs(ours_distance - distance)
    print(
        f"{SCENES} scenes, {geom.size} rays: same geom {same.mean():.6f}, away from edges "
        f"{same[inner].mean():.6f}; |distance error| within 10 m: max {error[near].max():.2e}, "
        f"99.9 % {np.quantile(error[near], 0.999):.2e} m; anywhere max {error[same].max():.2e}"
    )
    assert set(np.unique(geom)) == set(range(-1, len(KINDS)))
    assert same[inner].mean() >= 0.995
    assert same.mean() >= 0.995
    assert error[near].max() <= 1e-4


def test_cast_takes_rays_of_any_length():
    scene, camera = random_scene(1), random_camera(1)
    rays = jnp.asarray(pixel_directions(camera), jnp.float32)
    shoot = jax.jit(lambda d: cast(KINDS, scene, camera.position, d))
    distance, geom = shoot(rays)
    half_distance, same_geom = shoot(2 * rays)
    np.testing.assert_array_equal(geom, same_geom)
    np.testing.assert_allclose(half_distance[geom >= 0], distance[geom >= 0] / 2, rtol=1e-6)
    assert (np.asarray(distance)[np.asarray(geom) < 0] == -1).all()


def test_depth_is_distance_along_the_axis(worlds, images):
    _, cameras, rays, distance, geom, _ = worlds
    forward = np.stack([-np.asarray(camera.rotation)[:, 2] for camera in cameras])
    cosine = np.einsum("srk,sk->sr", rays, forward)
    same = (images.geom.reshape(geom.shape) == geom) & (distance < 10)
    inner = same & np.stack([away_from_edges(row) for row in geom])
    depth = images.depth.reshape(geom.shape)
    expected = np.where(geom >= 0, distance * cosine, 0.0)
    np.testing.assert_allclose(depth[inner], expected[inner], atol=1e-4)


def test_light_and_shadow_are_mujocos(worlds, images):
    """White Lambert light: max(n.l, 0) where no geom stands before the light, else black."""
    scenes, cameras, rays, distance, geom, normal = worlds
    towards = -np.asarray(scenes[0].lights.direction[0], np.float64)
    towards /= np.linalg.norm(towards)
    checked = agree = shaded = 0
    for number in range(12):
        model, data = mujoco_model(scenes[number])
        view = rays[number]
        hit = (geom[number] >= 0) & away_from_edges(geom[number]) & (distance[number] < 10)
        for ray in np.flatnonzero(hit)[::5]:
            n = normal[number, ray]
            n = n if n @ view[ray] < 0 else -n
            cosine = n @ towards
            if abs(cosine) < 0.02:
                continue
            point = np.asarray(cameras[number].position) + distance[number, ray] * view[ray]
            start = point + 1e-3 * n
            block = np.zeros(1, np.int32)
            free = mujoco.mj_ray(model, data, start, towards, None, True, -1, block) < 0
            free |= KINDS[block[0]] == "plane"
            shaded += not free
            expected = 0.8 * max(cosine, 0.0) if free else 0.0
            value = images.rgb[number].reshape(-1, 3)[ray, 0]
            checked += 1
            agree += abs(value - expected) < 2e-3
    print(f"light: {agree} of {checked} points agree, {shaded} of them in shadow")
    assert checked > 1000
    assert shaded > 100
    assert agree / checked >= 0.995


def test_one_world_is_the_same_alone_and_in_a_batch(worlds, images):
    scenes, cameras = worlds[:2]
    draw = jax.jit(lambda s, c: render(KINDS, s, c, PIXELS, PIXELS))
    for number in (0, 7, SCENES - 1):
        alone = draw(scenes[number], cameras[number])
        np.testing.assert_array_equal(alone.geom, images.geom[number])
        np.testing.assert_array_equal(alone.depth, images.depth[number])
        np.testing.assert_array_equal(alone.rgb, images.rgb[number])


def test_moving_scene_and_camera_together_changes_nothing(worlds, images):
    scenes, cameras = worlds[:2]
    offset = jnp.asarray([0.7, -1.3, 0.4])
    draw = jax.jit(lambda s, c: render(KINDS, s, c, PIXELS, PIXELS))
    for number in (1, 2, 3):
        moved = draw(
            scenes[number].replace(position=scenes[number].position + offset),
            cameras[number].replace(position=cameras[number].position + offset),
        )
        same = np.asarray(moved.geom) == images.geom[number]
        assert same.mean() > 0.999
        close = np.abs(np.asarray(moved.rgb) - images.rgb[number]).max(-1) < 2e-3
        assert close[same].mean() > 0.998
