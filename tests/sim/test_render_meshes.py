"""Triangle meshes in the ray caster against C MuJoCo's rays and pictures."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from tests.sim.random_meshes import mesh_model
from tests.sim.random_worlds import mujoco_cast, stacked
from tests.sim.test_render_opengl import inner
from tests.sim.test_render_rays import PIXELS, away_from_edges, pixel_directions
from wamjax.sim.render import build_mesh, cast, from_mujoco, opengl, render
from wamjax.sim.render.from_mujoco import mesh_triangles

WORLDS = 24
LIGHT = -np.array([0.3, -0.2, -1.0]) / np.linalg.norm([0.3, -0.2, -1.0])
AMBIENT, DIFFUSE = 0.2, 0.7
RINGS = (3, 6)
"""Geoms of the third shape."""


@pytest.fixture(scope="module")
def worlds():
    """(models with data, kinds, scenes, cameras, rays [W, R, 3])."""
    models, scenes, cameras = [], [], []
    for seed in range(WORLDS):
        model = mesh_model(seed, lamps=True)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        kinds, scene, camera = from_mujoco(model, data)
        models.append((model, data))
        scenes.append(scene)
        cameras.append(camera)
    return models, kinds, scenes, cameras, np.stack([pixel_directions(c) for c in cameras])


@pytest.fixture(scope="module")
def truth(worlds):
    """(distance, geom, normal) of each world's rays."""
    models, _, _, cameras, rays = worlds
    found = [
        mujoco_cast(*world, np.asarray(camera.position), directions)
        for world, camera, directions in zip(models, cameras, rays, strict=True)
    ]
    return tuple(np.stack(parts) for parts in zip(*found, strict=True))


@pytest.fixture(scope="module")
def images(worlds):
    _, kinds, scenes, cameras, _ = worlds
    draw = jax.jit(jax.vmap(lambda s, c: render(kinds, s, c, PIXELS, PIXELS)))
    return jax.tree.map(np.asarray, draw(stacked(scenes), stacked(cameras)))


def test_first_hit_is_mujocos(truth, images, worlds):
    distance, geom, _ = truth
    forward = np.stack([-np.asarray(camera.rotation)[:, 2] for camera in worlds[3]])
    cosine = np.einsum("srk,sk->sr", worlds[4], forward)
    same = images.geom.reshape(geom.shape) == geom
    away = np.stack([away_from_edges(row) for row in geom])
    error = np.abs(images.depth.reshape(geom.shape) / cosine - distance)[same & away & (geom >= 0)]
    print(
        f"{WORLDS} worlds of meshes, {geom.size} rays: same geom {same.mean():.6f}, away from "
        f"edges {same[away].mean():.6f}; |distance error| max {error.max():.2e} m"
    )
    assert set(np.unique(geom)) == set(range(-1, 8))
    assert same[away].mean() >= 0.995
    assert same.mean() >= 0.995
    assert error.max() <= 1e-4


def test_rays_in_all_directions_at_once(worlds):
    """Bundles without a common direction, from inside the cloud of meshes."""
    models, kinds, scenes, _, _ = worlds
    draw = np.random.RandomState(0)
    rays = draw.normal(size=(WORLDS, 600, 3))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    origins = draw.uniform(-0.5, 0.5, (WORLDS, 3)).astype(np.float32)
    found = [
        mujoco_cast(*world, origin, directions)
        for world, origin, directions in zip(models, origins, rays, strict=True)
    ]
    distance, geom, _ = (np.stack(parts) for parts in zip(*found, strict=True))
    shoot = jax.jit(jax.vmap(lambda s, o, d: cast(kinds, s, o, d)))
    ours, hit = map(np.asarray, shoot(stacked(scenes), origins, jnp.asarray(rays, jnp.float32)))
    same = hit == geom
    assert same.mean() >= 0.999
    np.testing.assert_allclose(ours[same], distance[same], atol=1e-4)


def test_light_and_shadow_are_mujocos():
    """Grey under one sun: rgb (ambient + diffuse n.l where no solid stands before the sun)."""
    checked = agree = shaded = 0
    draw = None
    for seed in range(4):
        model = mesh_model(seed, lamps=True)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        kinds, scene, camera = from_mujoco(model, data)
        # Rays tell the normals of triangles; MuJoCo's pictures, and ours, have smoother ones.
        flat = tuple(build_mesh(mesh_triangles(model, mesh)[0]) for mesh in range(6))
        scene = scene.replace(meshes=flat)
        draw = draw or jax.jit(lambda s, c, k=kinds: render(k, s, c, PIXELS, PIXELS))
        rgb = np.asarray(draw(scene, camera).rgb).reshape(-1, 3)
        view, eye = pixel_directions(camera), np.asarray(camera.position)
        distance, geom, normal = mujoco_cast(model, data, eye, view)
        for ray in np.flatnonzero((geom >= 0) & away_from_edges(geom))[::3]:
            cosine = normal[ray] @ LIGHT
            if abs(cosine) < 0.02:
                continue
            point, block = eye + distance[ray] * view[ray], np.zeros(1, np.int32)
            start = point + 1e-3 * normal[ray]
            free = mujoco.mj_ray(model, data, start, LIGHT, None, True, -1, block) < 0
            lit = max(cosine, 0.0) if free or block[0] == 0 else 0.0
            expected = model.geom_rgba[geom[ray], :3] * (AMBIENT + DIFFUSE * lit)
            checked += 1
            shaded += cosine > 0 and lit == 0
            agree += np.abs(rgb[ray] - np.clip(expected, 0, 1)).max() < 3e-3
    print(f"light: {agree} of {checked} points agree, {shaded} of them in shadow")
    assert shaded > 100
    assert agree / checked >= 0.98


def test_hidden_meshes_are_neither_seen_nor_cast_shadows(worlds, images):
    _, kinds, scenes, cameras, _ = worlds
    meshes = np.array([kind == "mesh" for kind in kinds])
    rest = np.flatnonzero(~meshes)
    draw = jax.jit(lambda s, c: render(kinds, s, c, PIXELS, PIXELS))
    scene = scenes[0]
    hidden = scene.replace(materials=scene.materials.replace(visible=jnp.asarray(~meshes)))
    bare = jax.tree.map(lambda leaf: leaf[rest], scene.materials)
    fewer = scene.replace(
        position=scene.position[rest],
        rotation=scene.rotation[rest],
        size=scene.size[rest],
        materials=bare,
        meshes=(),
    )
    without = jax.jit(lambda s, c: render(tuple(kinds[i] for i in rest), s, c, PIXELS, PIXELS))(
        fewer, cameras[0]
    )
    assert images.rgb[0].max() > 0.3
    np.testing.assert_array_equal(draw(hidden, cameras[0]).rgb, without.rgb)
    # And a world is the same alone as among others.
    alone = draw(scene, cameras[0])
    np.testing.assert_array_equal(alone.geom, images.geom[0])
    np.testing.assert_allclose(alone.rgb, images.rgb[0], atol=1e-6)


def test_a_mesh_for_every_geom_of_that_kind(worlds):
    _, kinds, scenes, cameras, _ = worlds
    with pytest.raises(ValueError, match="5 meshes for 6 geoms of kind mesh"):
        render(kinds, scenes[0].replace(meshes=scenes[0].meshes[1:]), cameras[0], 8, 8)


def test_smooth_meshes_look_as_in_opengl():
    if opengl.backend() is None:
        pytest.skip(opengl.MISSING)
    pixels, models = 96, [mesh_model(seed, lamps=True, smooth=True) for seed in range(6)]
    theirs = opengl.draw(models, pixels, pixels, shadows=True)
    placed = []
    for model in models:
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        kinds, scene, camera = from_mujoco(model, data)
        placed.append((scene, camera))
    scenes, cameras = (stacked(list(column)) for column in zip(*placed, strict=True))
    draw = jax.jit(jax.vmap(lambda s, c: render(kinds, s, c, pixels, pixels)))
    ours = jax.tree.map(np.asarray, draw(scenes, cameras))
    away, same = inner(theirs.geom), theirs.geom == ours.geom
    depth = np.abs(theirs.depth - ours.depth)[away & same & (ours.depth < 2.0) & (ours.geom >= 0)]
    difference = np.abs(theirs.rgb / 255.0 - ours.rgb).mean(axis=-1)
    # MuJoCo lights corners and we points, which differs where a star's corners look all ways.
    ring = difference[away & same & np.isin(ours.geom, RINGS)]
    print(
        f"{opengl.backend()}: same geom off edges {same[away].mean():.5f}, depth within 2 m max "
        f"{depth.max():.1e} m; rgb differs by {difference.mean():.4f} of {ours.rgb.mean():.3f}, "
        f"inside of {ring.size} pixels of rings by {ring.mean():.4f}"
    )
    assert same[away].mean() >= 0.995
    assert depth.max() <= 1e-3
    assert difference.mean() <= 0.03
    assert ring.mean() <= 0.008
