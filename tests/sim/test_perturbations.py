"""Looks: clean is neutral, amounts are what the picture gets, training and evaluation are apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.conftest import stack
from wamjax.sim import perturbations
from wamjax.sim.axes import ALL_AXES, AXES, SEVERITIES, bands_of, sub_axes
from wamjax.sim.corruptions import CORRUPTIONS
from wamjax.sim.perturbations import (
    RANDOMISED,
    SEEN,
    SURFACES,
    TABLE,
    UNSEEN,
    WALL,
    Look,
    build_look,
    randomised_look,
)
from wamjax.sim.presets import OWN, PRESET_NAMES
from wamjax.sim.render.textures import FAMILIES
from wamjax.sim.robots import PANDA
from wamjax.sim.variants import clean_variant, make_variant, perturbation_draws

POSITION, TARGET = np.array(PANDA.view.position), np.array(PANDA.view.target)

LEVELS = range(1, SEVERITIES + 1)
SEEDS = 16
VISUAL = [(axis, sub) for axis in ("camera", "light", "background") for sub in sub_axes(axis)]
FIELDS = {
    ("camera", "distance"): {"camera.position"},
    ("camera", "azimuth"): {"camera.position", "camera.rotation"},
    ("camera", "elevation"): {"camera.position", "camera.rotation"},
    ("camera", "orientation"): {"camera.rotation"},
    ("light", "colour"): {"lights.diffuse", "lights.specular", "ambient"},
    ("light", "direction"): {"lights.direction"},
    ("light", "specular"): {"lights.specular"},
    ("light", "shadows"): {
        "lights.direction",
        "lights.diffuse",
        "lights.specular",
        "lights.active",
    },
    ("light", "count"): {"lights.direction", "lights.active"},
    ("background", "tint"): {"rgb"},
    ("background", "texture_seen"): {"family", "texture"},
    ("background", "texture_unseen"): {"family", "texture"},
    ("background", "material"): {"specular", "shininess"},
    ("background", "wall"): {"rgb", "family", "texture"},
    **{("noise", name): {"noise", "strength"} for name in CORRUPTIONS[1:]},
}


def look_of(variant) -> Look:
    return build_look(variant, perturbation_draws(variant), PANDA.view)


looks_of = jax.jit(jax.vmap(look_of))


@pytest.fixture(scope="module")
def clean() -> Look:
    return jax.tree.map(np.asarray, jax.jit(look_of)(clean_variant(jnp.int32(5))))


@pytest.fixture(scope="module")
def looks() -> dict[tuple[str, str], Look]:
    """(axis, sub-axis) -> looks [severity, seed]."""
    names = list(FIELDS)
    rows = [
        make_variant(a, s, level, seed)
        for a, s in names
        for level in LEVELS
        for seed in range(SEEDS)
    ]
    flat = looks_of(stack(rows))
    grid = jax.tree.map(
        lambda x: np.asarray(x).reshape(len(names), SEVERITIES, SEEDS, *x.shape[1:]), flat
    )
    return {name: jax.tree.map(lambda x, i=i: x[i], grid) for i, name in enumerate(names)}


@pytest.fixture(scope="module")
def trained() -> Look:
    keys = jax.random.split(jax.random.PRNGKey(0), 256)
    return jax.tree.map(
        np.asarray, jax.jit(jax.vmap(lambda key: randomised_look(key, PANDA.view)))(keys)
    )


def leaves(look: Look) -> dict[str, np.ndarray]:
    flat, _ = jax.tree_util.tree_flatten_with_path(look)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in flat}


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between vectors along the last axis."""
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


def test_the_clean_look_is_the_neutral_element(clean: Look) -> None:
    np.testing.assert_array_equal(clean.rgb, perturbations.COLOURS)
    np.testing.assert_allclose(clean.camera.position, POSITION, rtol=1e-6)
    back = POSITION - TARGET
    np.testing.assert_allclose(clean.camera.rotation[:, 2], back / np.linalg.norm(back), rtol=1e-6)
    np.testing.assert_array_equal(clean.family, 0)
    np.testing.assert_array_equal(clean.texture, 0)
    np.testing.assert_array_equal(clean.ambient, np.float32(perturbations.AMBIENT))
    np.testing.assert_array_equal(clean.lights.active, [True] + [False] * perturbations.LAMPS)
    np.testing.assert_array_equal(clean.lights.shadow, [True] + [False] * perturbations.LAMPS)
    np.testing.assert_array_equal(clean.lights.diffuse[0], np.float32(perturbations.LIGHT_COLOUR))
    np.testing.assert_array_equal(clean.specular, np.float32(perturbations.GLOSS))
    np.testing.assert_array_equal(clean.shininess, perturbations.SHININESS)
    assert (clean.noise, clean.strength) == (0, 1)


def test_the_clean_look_does_not_depend_on_the_seed(clean: Look) -> None:
    others = looks_of(stack([make_variant(None, None, 0, seed) for seed in range(SEEDS)]))
    for name, leaf in leaves(others).items():
        if name != "lights.direction":
            # Those of lamps that are off.
            np.testing.assert_allclose(
                leaf, np.broadcast_to(leaves(clean)[name], leaf.shape), atol=1e-7
            )


def test_every_visual_sub_axis_changes_its_own_fields(clean, looks) -> None:
    assert set(FIELDS) == {*VISUAL, *(("noise", sub.name) for sub in AXES["noise"])}
    for name, fields in FIELDS.items():
        for level in LEVELS:
            found = set()
            for field, leaf in leaves(looks[name]).items():
                same = np.broadcast_to(leaves(clean)[field], leaf[level - 1].shape)
                if np.abs(leaf[level - 1].astype(np.float64) - same).max() > 1e-5:
                    found.add(field)
            assert found - {"lights.direction"} == fields - {"lights.direction"}, (name, level)
            assert "lights.direction" in found or "lights.direction" not in fields


def test_no_other_axis_changes_the_look(clean: Look) -> None:
    rest = [
        make_variant(axis, sub, level, 5)
        for axis in ("robot", "language", "layout", "dynamics")
        for sub in sub_axes(axis)
        for level in LEVELS
    ]
    for name, leaf in leaves(looks_of(stack(rest))).items():
        if name != "lights.direction":
            same = np.broadcast_to(leaves(clean)[name], leaf.shape)
            np.testing.assert_allclose(leaf, same, atol=1e-7)


def within(values: np.ndarray, axis: str, sub: str, slack: float) -> None:
    """values [severity, seed] lie in the bands and grow with severity for every seed."""
    for level, (low, high) in enumerate(bands_of(axis, sub)):
        assert values[level].min() >= low - slack, (axis, sub, level)
        assert values[level].max() <= high + slack, (axis, sub, level)
    assert np.all(np.diff(values, axis=0) > -slack)


def test_the_camera_gets_the_stated_amounts(clean, looks) -> None:
    target = TARGET
    arm = POSITION - target
    far = looks["camera", "distance"].camera.position - target
    within(np.linalg.norm(far, axis=-1) / np.linalg.norm(arm), "camera", "distance", 1e-4)
    turned = looks["camera", "azimuth"].camera.position - target
    within(angle(turned[..., :2], arm[:2]), "camera", "azimuth", 1e-2)
    raised = looks["camera", "elevation"].camera.position - target
    within(angle(raised, arm), "camera", "elevation", 2e-2)
    np.testing.assert_allclose(angle(raised[..., :2], arm[:2]), 0, atol=2e-2)
    for around in (turned, raised):
        np.testing.assert_allclose(np.linalg.norm(around, axis=-1), np.linalg.norm(arm), rtol=1e-5)
    axis = looks["camera", "orientation"].camera.rotation[..., 2]
    within(angle(axis, clean.camera.rotation[:, 2]), "camera", "orientation", 2e-2)
    # Both sides, and yaw as well as pitch.
    tilt = axis - clean.camera.rotation[:, 2]
    for way in (turned[..., 1] - arm[1], raised[..., 2] - arm[2], tilt[..., 1], tilt[..., 2]):
        assert way.min() < 0 < way.max()


def test_camera_axes_stay_orthonormal(looks, trained) -> None:
    for look in (*(looks["camera", sub] for sub in sub_axes("camera")), trained):
        axes = look.camera.rotation.reshape(-1, 3, 3)
        np.testing.assert_allclose(
            axes.transpose(0, 2, 1) @ axes, np.tile(np.eye(3), (len(axes), 1, 1)), atol=1e-5
        )
        np.testing.assert_allclose(np.linalg.det(axes), 1.0, atol=1e-5)


def test_the_light_gets_the_stated_amounts(clean, looks) -> None:
    colour = looks["light", "colour"].ambient / perturbations.AMBIENT
    within(np.abs(np.log(colour)).max(-1), "light", "colour", 1e-4)
    moved = looks["light", "direction"].lights.direction[:, :, 0]
    within(angle(moved, clean.lights.direction[0]), "light", "direction", 2e-2)
    shiny = looks["light", "specular"].lights.specular[:, :, 0, 0]
    within(shiny, "light", "specular", 1e-5)
    faded = looks["light", "shadows"].lights
    within(faded.diffuse[:, :, 1, 0] / perturbations.LIGHT_COLOUR, "light", "shadows", 1e-5)
    # Where nothing shades, the two lights are the one.
    np.testing.assert_allclose(
        faded.diffuse[:, :, :2].sum(2), perturbations.LIGHT_COLOUR, rtol=1e-6
    )
    np.testing.assert_array_equal(faded.direction[:, :, 0], faded.direction[:, :, 1])
    np.testing.assert_array_equal(faded.active.sum(-1), 2)
    count = looks["light", "count"].lights
    np.testing.assert_array_equal(
        count.active.sum(-1), 1 + np.tile([[1], [2], [3], [4], [5]], SEEDS)
    )
    np.testing.assert_allclose(count.direction[0], count.direction[-1], atol=1e-6)
    assert np.all(~count.shadow[..., 1:])


def test_no_light_comes_from_below() -> None:
    variants = stack(
        [
            make_variant("light", sub, 5, seed, preset)
            for preset in PRESET_NAMES
            for sub in sub_axes("light", preset)
            for seed in range(64)
        ]
    )
    assert np.asarray(looks_of(variants).lights.direction)[..., 2].max() < 0


def test_the_background_gets_the_stated_amounts(looks) -> None:
    tint = looks["background", "tint"].rgb - perturbations.COLOURS
    moved = np.linalg.norm(tint, axis=-1)
    assert np.all(
        moved
        <= np.array([high for _, high in bands_of("background", "tint")])[:, None, None] + 1e-5
    )
    seen, unseen = {FAMILIES.index(f) for f in SEEN}, {FAMILIES.index(f) for f in UNSEEN}
    for sub, families in (("texture_seen", seen), ("texture_unseen", unseen)):
        assert set(np.unique(looks["background", sub].family)) == families
        within(looks["background", sub].texture[:, :, TABLE, 1], "background", sub, 1e-5)
    within(looks["background", "material"].specular[:, :, TABLE], "background", "material", 1e-5)
    wall = looks["background", "wall"]
    within(wall.texture[:, :, WALL, 1], "background", "wall", 1e-5)
    assert set(np.unique(wall.family[:, :, WALL])) <= unseen
    others = [place for place in range(len(SURFACES)) if place != WALL]
    np.testing.assert_array_equal(wall.family[:, :, others], 0)
    np.testing.assert_allclose(wall.rgb[:, :, others] - perturbations.COLOURS[others], 0, atol=1e-6)
    others = [place for place in range(len(SURFACES)) if place != TABLE]
    np.testing.assert_allclose(
        looks["background", "material"].specular[:, :, others], perturbations.GLOSS
    )


def test_noise_is_kind_and_row(looks) -> None:
    for number, name in enumerate(CORRUPTIONS[1:], start=1):
        np.testing.assert_array_equal(looks["noise", name].noise, number)
        within(looks["noise", name].strength, "noise", name, 1e-5)


def test_directions_do_not_depend_on_the_severity(looks) -> None:
    same = {
        ("background", "texture_seen"): lambda look: look.texture[..., [0, 2, 3]],
        ("background", "texture_unseen"): lambda look: look.family,
        ("background", "wall"): lambda look: look.texture[..., WALL, [0, 2, 3]],
        ("background", "material"): lambda look: look.shininess,
        ("light", "count"): lambda look: look.lights.direction,
        ("light", "colour"): lambda look: _unit(np.log(look.ambient / perturbations.AMBIENT)),
    }
    for name, pick in same.items():
        ways = pick(looks[name])
        np.testing.assert_allclose(ways, np.broadcast_to(ways[:1], ways.shape), atol=1e-3)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.abs(x).max(-1, keepdims=True)


def test_families_of_training_and_evaluation_have_nothing_in_common() -> None:
    assert not set(SEEN) & set(UNSEEN)
    assert {"flat", *SEEN, *UNSEEN} == set(FAMILIES)
    assert len(UNSEEN) >= 3


def test_training_bands_lie_away_from_all_evaluation_bands() -> None:
    for axis, subs in ALL_AXES.items():
        for sub in subs:
            assert not sub.training or axis in RANDOMISED
            for low, high in sub.training:
                assert low < high
                for other_low, other_high in sub.bands:
                    assert high < other_low or other_high < low, (axis, sub.name)
    assert {(a, s.name) for a in RANDOMISED for s in AXES[a] if not s.training} == {
        ("light", "count"),
        ("background", "texture_unseen"),
    }


def in_training(values: np.ndarray, axis: str, sub: str) -> None:
    """All in the training bands, every band visited, none in a band of evaluation."""
    row = next(row for row in AXES[axis] if row.name == sub)
    counts = [
        ((values >= low - 1e-4) & (values <= high + 1e-4)).sum() for low, high in row.training
    ]
    assert sum(counts) == values.size, (axis, sub)
    assert min(counts) > values.size / 6
    for low, high in row.bands:
        assert not np.any((values >= low) & (values <= high))


def test_randomised_looks_stay_in_the_training_bands(clean, trained) -> None:
    arm = POSITION - TARGET
    moved = trained.camera.position - TARGET
    in_training(np.linalg.norm(moved, axis=-1) / np.linalg.norm(arm), "camera", "distance")
    in_training(angle(moved[:, :2], arm[:2]), "camera", "azimuth")
    height = np.rad2deg(np.arcsin(moved[:, 2] / np.linalg.norm(moved, axis=-1)))
    clean_height = np.rad2deg(np.arcsin(arm[2] / np.linalg.norm(arm)))
    in_training(np.abs(height - clean_height), "camera", "elevation")
    towards = moved / np.linalg.norm(moved, axis=-1, keepdims=True)
    assert angle(trained.camera.rotation[:, :, 2], towards).max() < 5

    gain = trained.ambient / perturbations.AMBIENT
    in_training(np.abs(np.log(gain)).max(-1), "light", "colour")
    in_training(
        angle(trained.lights.direction[:, 0], clean.lights.direction[0]), "light", "direction"
    )
    share = trained.lights.diffuse[:, 1, 0] / gain[:, 0] / perturbations.LIGHT_COLOUR
    in_training(share, "light", "shadows")
    np.testing.assert_array_equal(trained.lights.active.sum(-1), 2)

    names = {FAMILIES[number] for number in np.unique(trained.family)}
    assert names == set(SEEN)
    in_training(trained.texture[:, TABLE, 1], "background", "texture_seen")
    in_training(trained.texture[:, WALL, 1], "background", "wall")
    in_training(trained.specular[:, TABLE], "background", "material")
    np.testing.assert_array_equal(trained.noise, 0)
    assert len(np.unique(trained.camera.position, axis=0)) == 256


def test_a_key_decides_the_randomised_look() -> None:
    one, same, other = (randomised_look(jax.random.PRNGKey(n), PANDA.view) for n in (1, 1, 2))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one.camera.position - other.camera.position).max() > 1e-3


def test_presets_change_the_amount_and_not_the_direction() -> None:
    rows = [
        make_variant("camera", "distance", 5, seed, name)
        for name in PRESET_NAMES
        for seed in range(8)
    ]
    position = np.asarray(looks_of(stack(rows)).camera.position).reshape(3, 8, 3) - TARGET
    factor = np.linalg.norm(position, axis=-1) / np.linalg.norm(POSITION - TARGET)
    for found, name in zip(factor, PRESET_NAMES, strict=True):
        low, high = bands_of("camera", "distance", name)[-1]
        assert np.all((found >= low - 1e-4) & (found <= high + 1e-4)), name
    assert PRESET_NAMES[0] == OWN
