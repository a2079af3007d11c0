"""Robots drawn from a menagerie's meshes: the right parts in the right places, the same physics."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.conftest import clean, play
from tests.sim.menagerie import write_menagerie
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.sim import drawing, rotations
from wamjax.sim.env import TabletopEnv
from wamjax.sim.render.mesh import area_vectors
from wamjax.sim.skins import read_skin


@pytest.fixture(scope="module")
def menagerie(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_menagerie(tmp_path_factory.mktemp("menagerie"))


def test_parts_are_read_and_thinned(menagerie: pathlib.Path) -> None:
    skin = read_skin(menagerie, "panda", triangles=1000)
    links = [f"link{index}" for index in range(8)]
    assert skin.bodies == (*links, "hand", "finger_left", "finger_right")
    np.testing.assert_allclose(skin.rgb[0], [0.8, 0.9, 1], atol=1e-6)
    np.testing.assert_allclose(skin.rgb[-1], [0.1, 0.1, 0.1], atol=1e-6)
    assert 500 < skin.triangles <= 1000
    assert read_skin(menagerie / "franka_emika_panda", "panda", 1000).triangles == skin.triangles
    # The hand is a box of 4 x 20 x 6.6 cm, tilted by 20 degrees about x, 3.3 cm out.
    hand = np.asarray(skin.meshes[8].corners, np.float64).reshape(-1, 3, 3)
    hand = hand[np.linalg.norm(area_vectors(hand), axis=1) > 0]
    assert len(hand) == 12
    np.testing.assert_allclose(hand.reshape(-1, 3).mean(axis=0), [0, 0, 0.033], atol=1e-6)
    cosine, sine = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    np.testing.assert_allclose(
        np.ptp(hand.reshape(-1, 3), axis=0),
        [0.04, 0.2 * cosine + 0.066 * sine, 0.2 * sine + 0.066 * cosine],
        atol=1e-6,
    )


@pytest.fixture(scope="module")
def played(menagerie: pathlib.Path):
    """Without and with meshes: (environment, two starts, ends, histories of the expert)."""
    ticks, out = 10, []
    for meshes in (None, menagerie):
        env = TabletopEnv("place", physics="c", props=False, meshes=meshes)
        zeros = np.zeros((2, ticks, 7), np.float32)
        out.append((env, *play(env, ticks)(clean(range(2)), zeros, np.ones(2, bool))))
    return out


@pytest.mark.slow
def test_only_the_robot_is_drawn_differently(played) -> None:
    """Parts ride on their bodies and cast shadows as the primitives of those do."""
    (plain, *_), (dressed, starts, *_) = played
    spec, skin = plain.task.scene, dressed.skin
    assert skin is not None
    before, after = drawing.drawn_geoms(spec), drawing.drawn_geoms(spec, skin)
    assert before.meshes == ()
    gone = {*before.rows} - {*after.rows}
    assert gone == {*skin.bodies}
    assert after.meshes is skin.meshes
    kept = [before.rows[name] for name in after.rows]
    for name in ("body", "offset", "turn", "size", "rgb"):
        old, new = getattr(before, name)[kept], getattr(after, name)[: len(kept)]
        np.testing.assert_array_equal(old, new)
    names = [*after.rows, *skin.bodies]
    shadows = {names[row] for row in after.casters}
    assert shadows == {[*before.rows][row] for row in before.casters}
    for rows in (0, 1):
        tinted = [[*drawn.rows][drawn.tinted[0][rows]] for drawn in (before, after)]
        assert tinted[0] == tinted[1]

    state = jax.tree.map(lambda leaf: leaf[0], starts)
    position, setting = state.pipeline_state.body.position, state.info["setting"]
    scene = drawing.build_scene(spec, position, setting, skin)
    situation = dressed.situation(state)
    hand = len(after.rows) + skin.bodies.index("hand")
    along = rotations.rotate(situation.tips.turn[0], jnp.array([0.0, 0.0, 0.1034]))
    np.testing.assert_allclose(scene.position[hand], situation.tips.position[0] - along, atol=1e-5)
    assert [kind for kind in after.kinds if kind == 7] == [7] * len(skin.bodies)


def test_the_physics_is_the_same_bit_for_bit(played) -> None:
    (_, *one), (_, *other) = played
    for before, after in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_does_not_fit_is_refused(menagerie: pathlib.Path, tmp_path, capsys) -> None:
    with pytest.raises(UserError, match=r"has no franka_emika_panda/panda.xml; name a copy of"):
        TabletopEnv("lift", meshes=tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"has no aloha/aloha.xml"):
        TabletopEnv("handover", meshes=menagerie)
    wrong = write_menagerie(tmp_path / "wrong", elbow=0.1)
    with pytest.raises(UserError, match=r"'link4' 18 mm and 0.0 degrees away from our panda's"):
        TabletopEnv("lift", meshes=wrong)
    bare = write_menagerie(tmp_path / "bare")
    (bare / "franka_emika_panda/assets/ball.obj").unlink()
    out = ["--out", str(tmp_path / "demos"), "--episodes", "1"]
    assert main(["demos", "--task", "lift", "--meshes", str(bare), *out]) == 2
    said = capsys.readouterr().err
    assert "MuJoCo cannot read" in said
    assert "ball.obj" in said
    assert "Traceback" not in said
    assert main(["eval", "--workdir", str(tmp_path), "--meshes", str(tmp_path / "no")]) == 2
    assert "has no franka_emika_panda/panda.xml" in capsys.readouterr().err
