"""The ray caster against `mujoco.Renderer`: who is seen where, how far, how bright, in what shadow.

The worlds are MuJoCo models; `from_mujoco` reads them for the ray caster. MuJoCo draws in a process
of its own (see `opengl`), so it does not matter what was imported before.
"""

import functools

import jax
import mujoco
import numpy as np
import pytest

from tests.sim.random_worlds import Lamp, lit_model, stacked
from wamjax.sim.render import from_mujoco, opengl, render

PIXELS = 128
SUN = Lamp("directional", diffuse=0.7, specular=0.5)
SPOT = Lamp("spot", diffuse=0.8, specular=0.5)


@pytest.fixture(scope="module", autouse=True)
def opengl_library() -> str:
    library = opengl.backend()
    if library is None:
        pytest.skip(opengl.MISSING)
    return library


@functools.cache
def both(lamps: tuple[Lamp, ...], seeds: tuple[int, ...], *, endless: bool = False):
    """(MuJoCo's pictures, ours) of the worlds with these lamps."""
    models = [lit_model(seed, lamps, endless=endless) for seed in seeds]
    shadows = any(lamp.shadow for lamp in lamps)
    theirs = opengl.draw(models, PIXELS, PIXELS, shadows=shadows)
    worlds = []
    for model in models:
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        kinds, scene, camera = from_mujoco(model, data)
        worlds.append((scene, camera))
    scenes, cameras = (stacked(list(column)) for column in zip(*worlds, strict=True))
    draw = jax.vmap(lambda s, c: render(kinds, s, c, PIXELS, PIXELS, shadows=len(lamps)))
    return theirs, jax.tree.map(np.asarray, jax.jit(draw)(scenes, cameras))


def inner(geom: np.ndarray) -> np.ndarray:
    """Pixels whose eight neighbours show the same geom, of pictures [N, H, W]."""
    wide = np.pad(geom, ((0, 0), (1, 1), (1, 1)), mode="edge")
    same = np.ones(geom.shape, bool)
    for row in range(3):
        for column in range(3):
            same &= wide[:, row : row + geom.shape[1], column : column + geom.shape[2]] == geom
    return same


def colour_difference(lamps: tuple[Lamp, ...], seeds: tuple[int, ...]) -> float:
    theirs, ours = both(lamps, seeds)
    return float(np.abs(theirs.rgb / 255.0 - ours.rgb).mean())


@pytest.mark.parametrize("endless", [pytest.param(False, marks=pytest.mark.slow), True])
def test_who_is_seen_and_how_far(endless):
    theirs, ours = both((), tuple(range(24)), endless=endless)
    away = inner(theirs.geom)
    same = theirs.geom == ours.geom
    near = away & same & (theirs.geom >= 0) & (ours.depth < 2.0)
    error = np.abs(theirs.depth - ours.depth)[near]
    print(
        f"{opengl.backend()}, endless floor {endless}: same geom {same.mean():.5f}, off edges "
        f"{same[away].mean():.5f} of {away.sum()} pixels; depth within 2 m: max {error.max():.1e}, "
        f"mean {error.mean():.1e} m of {near.sum()} pixels"
    )
    assert set(np.unique(theirs.geom)) >= set(range(11))
    assert same[away].mean() >= 0.995
    assert near.mean() > 0.1
    assert error.max() <= 1e-3


@pytest.mark.parametrize(
    ("name", "lamps", "limit"),
    [
        ("ambient only", (Lamp("directional", ambient=0.8),), 0.02),
        # The three lights below are of both kinds.
        pytest.param("one directional light", (SUN,), 0.03, marks=pytest.mark.slow),
        pytest.param("one spot", (SPOT,), 0.03, marks=pytest.mark.slow),
        (
            "three lights",
            (
                Lamp("directional", ambient=0.2, diffuse=0.3, specular=0.2),
                Lamp("directional", diffuse=0.3, specular=0.3, turn=140.0),
                Lamp("spot", diffuse=0.4, specular=0.3, turn=250.0),
            ),
            0.03,
        ),
    ],
)
def test_colours(name, lamps, limit):
    difference = colour_difference(lamps, tuple(range(8)))
    bright = both(lamps, tuple(range(8)))[0].rgb.mean() / 255
    print(f"{name}: mean absolute difference of rgb {difference:.4f}, mean of rgb {bright:.3f}")
    assert bright > 0.02
    assert difference <= limit


@pytest.mark.parametrize("kind", [pytest.param("directional", marks=pytest.mark.slow), "spot"])
def test_shadows_fall_in_the_same_places(kind):
    """A pixel is in shadow where the light's own part of the picture loses half of its brightness.

    Compared where the lamp alone would give at least a tenth of full brightness in both pictures:
    elsewhere the surface looks away from it, and MuJoCo's shadow map speckles grazing surfaces.
    """
    seeds = tuple(range(8))
    free, cast = (
        both((Lamp(kind, diffuse=1.0, shadow=shadow),), seeds) for shadow in (False, True)
    )
    theirs_free, theirs = free[0].rgb.mean(-1) / 255, cast[0].rgb.mean(-1) / 255
    ours_free, ours = free[1].rgb.mean(-1), cast[1].rgb.mean(-1)
    faces = (theirs_free > 0.1) & (ours_free > 0.1) & (free[0].geom == free[1].geom)
    dark_theirs, dark_ours = theirs < theirs_free / 2, ours < ours_free / 2
    both_dark = (dark_theirs & dark_ours & faces).sum()
    either_dark = ((dark_theirs | dark_ours) & faces).sum()
    print(
        f"{kind}: shadow IoU {both_dark / either_dark:.4f}, {either_dark} of {faces.sum()} pixels "
        "that face the light are dark in one of both pictures"
    )
    assert either_dark > 0.05 * faces.sum()
    assert both_dark / either_dark >= 0.95
