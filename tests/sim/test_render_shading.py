"""Materials, lights and the picture's own laws; no other renderer is needed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.random_worlds import KINDS, random_camera, random_scene
from wamjax.core.runtime import program_jit
from wamjax.sim.render import (
    DIRECTIONAL,
    FAMILIES,
    POINT,
    SPOT,
    Image,
    Scene,
    look_at,
    render,
    to_uint8,
)
from wamjax.sim.render.camera import pixel_rays
from wamjax.sim.render.shading import contracted, gathered

PIXELS = 32
SCENE, CAMERA = random_scene(5), random_camera(5)

draw = jax.jit(lambda scene, camera=CAMERA: render(KINDS, scene, camera, PIXELS, PIXELS))


# A floor, a box and a sphere, for laws that need a program of their own.
FEW = ("plane", "box", "sphere")
FEW_SCENE = SCENE.replace(
    position=jnp.asarray([[0.0, 0, -0.5], [0.2, 0.3, 0], [-0.2, -0.2, 0.1]]),
    rotation=SCENE.rotation[:3],
    size=jnp.asarray([[0.0, 0, 1], [0.3, 0.2, 0.3], [0.3, 0, 0]]),
    materials=jax.tree.map(lambda leaf: leaf[:3], SCENE.materials),
)


def with_materials(scene: Scene, **changes) -> Scene:
    return scene.replace(materials=scene.materials.replace(**changes))


def with_lights(scene: Scene, **changes) -> Scene:
    return scene.replace(lights=scene.lights.replace(**changes))


@pytest.fixture(scope="module")
def ambient_scene() -> Scene:
    """No light but white ambient: what is seen is the albedo."""
    return with_lights(SCENE, active=jnp.zeros(1, bool)).replace(ambient=jnp.ones(3))


@pytest.fixture(scope="module")
def plain(ambient_scene) -> Image:
    return jax.tree.map(np.asarray, draw(ambient_scene))


def test_flat_ambient_picture_shows_colours_and_background(ambient_scene):
    floorless = with_materials(ambient_scene, visible=jnp.arange(len(KINDS)) > 0)
    plain = jax.tree.map(np.asarray, draw(floorless))
    hit = plain.geom >= 0
    assert 0.05 < hit.mean() < 0.95
    np.testing.assert_allclose(plain.rgb[hit], 0.8, atol=1e-6)
    np.testing.assert_allclose(plain.rgb[~hit] - [0.1, 0.2, 0.3], 0.0, atol=1e-7)
    assert (plain.depth[~hit] == 0).all()
    assert (plain.depth[hit] > 0).all()


def test_every_family_but_flat_varies_and_only_darkens(ambient_scene):
    pictures = {}
    for number, family in enumerate(FAMILIES):
        scene = with_materials(
            ambient_scene, family=jnp.full(len(KINDS), number, jnp.int32), rgb=jnp.ones((12, 3))
        )
        image = draw(scene)
        picture = np.asarray(image.rgb)[np.asarray(image.geom) == 0]
        assert len(picture) > 100
        assert picture.max() <= 1.0
        # contrast 0.5: never darker than half
        assert picture.min() >= 0.5 - 1e-6
        pictures[family] = picture
        assert (picture.std() > 0.01) == (family != "flat"), family
    families = list(pictures)
    for one, first in enumerate(families):
        for second in families[one + 1 :]:
            assert np.abs(pictures[first] - pictures[second]).mean() > 0.01, (first, second)


def test_contrast_zero_is_flat(ambient_scene, plain):
    texture = ambient_scene.materials.texture.at[:, 1].set(0.0)
    scene = with_materials(
        ambient_scene,
        texture=texture,
        family=jnp.arange(len(KINDS), dtype=jnp.int32) % len(FAMILIES),
    )
    np.testing.assert_array_equal(draw(scene).rgb, plain.rgb)


def test_textures_stick_to_their_geoms(ambient_scene):
    """A texture is a function of the place on the geom: it turns and moves along with it."""
    turn = jnp.asarray([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    family = jnp.arange(1, len(KINDS) + 1, dtype=jnp.int32) % len(FAMILIES)
    scene = with_materials(ambient_scene, family=family)
    turned = scene.replace(
        position=scene.position @ turn.T, rotation=jnp.einsum("ij,gjk->gik", turn, scene.rotation)
    )
    camera = CAMERA.replace(position=turn @ CAMERA.position, rotation=turn @ CAMERA.rotation)
    one, other = draw(scene), draw(turned, camera)
    assert (np.asarray(one.geom) == np.asarray(other.geom)).mean() > 0.998
    close = np.abs(np.asarray(one.rgb) - np.asarray(other.rgb)).max(-1) < 5e-3
    assert close.mean() > 0.99


def test_what_is_not_visible_is_not_there():
    """No colour, no depth and no shadow: the picture is that of a world without the geom."""
    seen = np.bincount(np.asarray(draw(SCENE).geom).ravel() + 1, minlength=13)[1:]
    for geom in (int(np.argmax(seen * (np.arange(12) > 0))), 0):
        visible = SCENE.materials.visible.at[geom].set(False)
        gone = draw(with_materials(SCENE, visible=visible))
        # The floor is endless, but from below it cannot be seen.
        lift = 1e4 if geom == 0 else -1e4
        away = draw(SCENE.replace(position=SCENE.position.at[geom, 2].add(lift)))
        assert geom not in np.asarray(gone.geom)
        np.testing.assert_array_equal(gone.geom, away.geom)
        np.testing.assert_array_equal(gone.rgb, away.rgb)


def test_shadows_only_take_light_away_and_can_be_switched_off():
    shadowed = np.asarray(draw(SCENE).rgb)
    flagged_off = np.asarray(draw(with_lights(SCENE, shadow=jnp.zeros(1, bool))).rgb)
    without = jax.jit(lambda scene: render(KINDS, scene, CAMERA, PIXELS, PIXELS, shadows=0))
    np.testing.assert_allclose(without(SCENE).rgb, flagged_off, atol=1e-6)
    assert (shadowed <= flagged_off + 1e-6).all()
    assert (shadowed < flagged_off - 0.01).mean() > 0.02
    nobody = jax.jit(lambda scene: render(KINDS, scene, CAMERA, PIXELS, PIXELS, casters=(0, 6)))
    np.testing.assert_allclose(nobody(SCENE).rgb, flagged_off, atol=1e-6)


def test_a_box_on_the_floor_shades_exactly_its_parallelogram():
    """Light at 45 degrees along x, a box of 0.2 m: dark from its foot up to x = 0.3."""
    scene = FEW_SCENE.replace(
        position=jnp.asarray([[0.0, 0, 0], [0, 0, 0.1], [0, 0, -5]]),
        rotation=jnp.tile(jnp.eye(3), (3, 1, 1)),
        size=jnp.asarray([[0.0, 0, 1], [0.1, 0.1, 0.1], [0.1, 0, 0]]),
        lights=SCENE.lights.replace(direction=jnp.asarray([[1.0, 0, -1]])),
    )
    camera = look_at(jnp.asarray([0.35, 0.01, 1.0]), jnp.asarray([0.25, 0.0, 0.0]), 40.0)
    image = jax.jit(lambda scene: render(FEW, scene, camera, 64, 64))(scene)
    rays = pixel_rays(camera, 64, 64)[0]
    x, y = (np.asarray(camera.position[i] - camera.position[2] * rays[i] / rays[2]) for i in (0, 1))
    inside = np.minimum(np.minimum(x - 0.1, 0.3 - x), 0.1 - np.abs(y))
    floor = (np.asarray(image.geom).ravel() == 0) & (np.abs(inside) > 1e-3)
    dark = np.asarray(image.rgb)[..., 0].ravel() == 0
    assert (floor & (inside > 0)).sum() > 100
    assert (np.abs(inside[floor & (x < 0.15)]) < 0.01).any()
    np.testing.assert_array_equal(dark[floor], inside[floor] > 0)


def test_a_far_point_light_is_a_directional_light():
    towards = np.asarray([-0.3, 0.2, 1.0]) / np.sqrt(1.13)
    sun = with_lights(SCENE, kind=jnp.full(1, DIRECTIONAL, jnp.int32))
    lamp = with_lights(
        SCENE,
        kind=jnp.full(1, POINT, jnp.int32),
        position=jnp.asarray([towards * 1e3], jnp.float32),
        direction=jnp.zeros((1, 3)),
    )
    one, other = np.asarray(draw(sun).rgb), np.asarray(draw(lamp).rgb)
    assert (np.abs(one - other).max(-1) < 0.01).mean() > 0.99
    near = with_lights(lamp, position=jnp.asarray([towards * 1.5], jnp.float32))
    assert (np.abs(one - np.asarray(draw(near).rgb)).max(-1) > 0.02).mean() > 0.3


def test_a_spot_is_a_cone_of_light():
    """On the floor: max(n.l, 0) cos(angle to the axis)^exponent inside the cutoff, else black."""
    eye, aim = np.asarray([0.2, -0.1, 1.5]), np.asarray([-0.3, 0.2, -1.5])
    lamp = SCENE.lights.replace(
        kind=jnp.full(1, SPOT, jnp.int32),
        position=jnp.asarray([eye], jnp.float32),
        direction=jnp.asarray([aim], jnp.float32),
        cutoff=jnp.full(1, 25.0),
        exponent=jnp.full(1, 6.0),
    )
    scene = FEW_SCENE.replace(
        lights=lamp, position=FEW_SCENE.position.at[1:, 2].set(-5.0).at[0, 2].set(0.0)
    )
    camera = look_at(jnp.asarray([0.1, -1.2, 1.2]), jnp.asarray([0.0, 0.0, 0.0]), 60.0)
    drawn = jax.jit(lambda scene: render(FEW, scene, camera, 64, 64))
    rays = np.stack([np.asarray(axis, np.float64) for axis in pixel_rays(camera, 64, 64)[0]], -1)
    down = rays[:, 2] < -0.05
    place = np.asarray(camera.position) - rays * (camera.position[2] / rays[:, 2])[:, None]
    towards = (eye - place) / np.linalg.norm(eye - place, axis=1, keepdims=True)
    cosine = -towards @ aim / np.linalg.norm(aim)
    sure = down & (np.abs(cosine - np.cos(np.deg2rad(25.0))) > 1e-4)
    expected = np.where(cosine > np.cos(np.deg2rad(25.0)), 0.8 * towards[:, 2] * cosine**6, 0.0)
    red = np.asarray(drawn(scene).rgb)[..., 0].ravel()
    assert 0.05 < (expected[sure] > 0).mean() < 0.95
    np.testing.assert_allclose(red[sure], expected[sure], atol=1e-4)
    wide = lamp.replace(cutoff=jnp.full(1, 90.0), exponent=jnp.zeros(1))
    point = SCENE.lights.replace(kind=jnp.full(1, POINT, jnp.int32), position=lamp.position)
    half_space = sure & (cosine > 1e-3)
    np.testing.assert_allclose(
        np.asarray(drawn(scene.replace(lights=wide)).rgb).reshape(-1, 3)[half_space],
        np.asarray(drawn(scene.replace(lights=point)).rgb).reshape(-1, 3)[half_space],
        atol=1e-5,
    )


def test_cutoff_and_exponent_concern_only_spots():
    cones = with_lights(SCENE, cutoff=jnp.full(1, 1.0), exponent=jnp.full(1, 50.0))
    np.testing.assert_allclose(draw(cones).rgb, draw(SCENE).rgb, atol=1e-6)


def test_each_light_casts_its_own_shadow():
    """A picture lit by two lights is the sum of the pictures lit by each."""
    other = SCENE.lights.replace(direction=jnp.asarray([[-0.6, 0.5, -0.7]]))
    two = jax.tree.map(lambda *leaves: 0.4 * jnp.concatenate(leaves), SCENE.lights, other)
    two = two.replace(kind=jnp.zeros(2, jnp.int32), active=jnp.ones(2, bool))
    two = two.replace(shadow=jnp.ones(2, bool))
    both = jax.jit(lambda scene: render(FEW, scene, CAMERA, PIXELS, PIXELS, shadows=2))
    lit = FEW_SCENE.replace(lights=two, background=jnp.zeros(3))
    apart = [
        both(lit.replace(lights=two.replace(active=jnp.asarray(chosen)))).rgb
        for chosen in ([True, False], [False, True])
    ]
    np.testing.assert_allclose(both(lit).rgb, apart[0] + apart[1], atol=1e-5)
    assert (np.abs(np.asarray(apart[0] - apart[1])).max(-1) > 0.02).mean() > 0.1
    single = jax.jit(lambda scene: render(FEW, scene, CAMERA, PIXELS, PIXELS, shadows=1))
    assert (np.asarray(single(lit).rgb - both(lit).rgb).max(-1) > 0.02).mean() > 0.01


def test_light_adds_up_and_gloss_is_a_highlight():
    """Two half lights are one light; specular light makes a small bright spot on round things."""
    two = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), SCENE.lights)
    two = two.replace(diffuse=two.diffuse / 2)
    both = jax.jit(lambda scene: render(FEW, scene, CAMERA, PIXELS, PIXELS, shadows=2))
    single = jax.jit(lambda scene: render(FEW, scene, CAMERA, PIXELS, PIXELS))
    np.testing.assert_allclose(
        both(FEW_SCENE.replace(lights=two)).rgb, single(FEW_SCENE).rgb, atol=1e-5
    )
    matt = with_materials(SCENE, rgb=jnp.zeros((12, 3)))
    glossy = with_lights(matt, specular=jnp.ones((1, 3)))
    assert np.asarray(draw(matt).rgb)[np.asarray(draw(matt).geom) >= 0].max() == 0
    highlight = np.asarray(draw(glossy).rgb)[np.asarray(draw(glossy).geom) >= 0]
    assert 0.05 < highlight.max() <= 0.3 + 1e-6
    assert (highlight > 0.1).mean() < 0.3


def test_supersampling_averages_finer_rays():
    fine = jax.jit(lambda scene: render(FEW, scene, CAMERA, 64, 64))(FEW_SCENE)
    both = jax.jit(lambda scene: render(FEW, scene, CAMERA, 32, 32, supersample=2))(FEW_SCENE)
    mean = np.asarray(fine.rgb).reshape(32, 2, 32, 2, 3).mean((1, 3))
    np.testing.assert_allclose(both.rgb, mean, atol=1e-6)
    np.testing.assert_array_equal(both.geom, np.asarray(fine.geom)[1::2, 1::2])
    np.testing.assert_array_equal(both.depth, np.asarray(fine.depth)[1::2, 1::2])
    # A wide picture shows the square one in its middle.
    wide = jax.jit(lambda scene: render(FEW, scene, CAMERA, 64, 128))(FEW_SCENE)
    assert set(np.unique(fine.geom)) >= {0, 1, 2}
    assert (np.asarray(wide.geom)[:, 32:96] == np.asarray(fine.geom)).mean() > 0.998
    assert (np.abs(wide.depth[:, 32:96] - fine.depth) < 1e-4).mean() > 0.99


def test_physics_programs_draw_the_same_picture():
    """The compiler option that physics needs changes no geom and hardly a colour."""
    one = draw(SCENE)
    other = program_jit(lambda scene: render(KINDS, scene, CAMERA, PIXELS, PIXELS))(SCENE)
    np.testing.assert_array_equal(one.geom, other.geom)
    np.testing.assert_allclose(one.rgb, other.rgb, atol=1e-4)


def test_lookups_of_all_backends_agree():
    table = jax.random.normal(jax.random.key(0), (26, 12))
    geom = jax.random.randint(jax.random.key(1), (500,), 0, 12)
    np.testing.assert_array_equal(gathered(table, geom), contracted(table, geom))


def test_kinds_may_be_mujoco_numbers_and_unknown_ones_are_refused():
    numbers = {"plane": 0, "sphere": 2, "capsule": 3, "ellipsoid": 4, "cylinder": 5, "box": 6}
    kinds = tuple(numbers[kind] for kind in KINDS)
    shapes = jax.eval_shape(lambda scene: render(kinds, scene, CAMERA, 16, 24), SCENE)
    assert {f.name: getattr(shapes, f.name).shape for f in dataclasses.fields(shapes)} == {
        "rgb": (16, 24, 3),
        "depth": (16, 24),
        "geom": (16, 24),
    }
    with pytest.raises(ValueError, match="cannot draw a geom of kind 1"):
        render((1, *kinds[1:]), SCENE, CAMERA, 16, 16)
    with pytest.raises(ValueError, match="11 kinds for 12 geoms"):
        render(kinds[1:], SCENE, CAMERA, 16, 16)


def test_uint8_rounds_and_clips():
    levels = jnp.arange(256) / 255.0
    np.testing.assert_array_equal(to_uint8(levels), np.arange(256))
    np.testing.assert_array_equal(to_uint8(jnp.asarray([-1.0, 2.0])), [0, 255])
