"""Cameras that meet in some layers only and have vectors of their own, lines of a longest length,
and a stream that enters as another one does."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.sequences import FEATURES, LAYOUT, toy
from tests.weights import drawn_weights
from wamjax.model.config import Clock, Expert, Port, Rotary, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.modulation import Level
from wamjax.model.rotary import rotary_angles
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam

pytestmark = pytest.mark.usefixtures("quick_to_compile")

TWO = tuple(
    Segment(stream="video", copy="noisy", rows=1, columns=2, view=view, block=1)
    for view in range(2)
)
BOTH = Layout(TWO, (("video/noisy", "video/noisy", "all"),))
WIDTHS: tuple[tuple[Stream, int], ...] = (("video", 6),)
CLOCK = Clock(features=8)


def of_cameras(*, depth: int = 3, scan_layers: bool = True, **changes) -> Wam:
    expert = Expert(name="e", width=24, mlp=32, modulation="table", clock=CLOCK)
    stack = Stack(name="s", depth=depth, heads=2, head_dim=12, experts=(expert,), **changes)
    port = Port(stream="video", into="e", kind=False, head="table")
    config = WamConfig(stacks=(stack,), ports=(port,), scan_layers=scan_layers)
    return Wam(config, BOTH, WIDTHS)


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(0)
    values = tuple(jnp.asarray(rng.normal(size=(2, 2, 6)), jnp.float32) for _ in TWO)
    tokens, sigma = Tokens(values, jnp.ones((2, 4), bool)), {"video": jnp.array([0.3, 0.8])}
    model = of_cameras()
    drawn = jax.eval_shape(
        lambda key: nn.unbox(model.init(key, BOTH, tokens, sigma, method="denoise")),
        jax.random.key(0),
    )
    return drawn_weights(drawn), tokens, sigma


def predicted(model: Wam, params, tokens, sigma):
    run = jax.jit(lambda p: model.apply(p, BOTH, tokens, sigma, method="denoise")["video"])
    return run(params)


def test_cameras_that_meet_in_every_layer_are_those_that_always_do(seen):
    want = predicted(of_cameras(), *seen)
    got = predicted(of_cameras(by_view=True, meet_every=1), *seen)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    apart = predicted(of_cameras(by_view=True), *seen)
    assert jnp.abs(apart - want).max() > 1e-3


@pytest.mark.parametrize("every", [2, 3])
def test_layers_in_which_cameras_meet_are_counted_from_the_first(seen, every):
    """The scan does what layers one behind the other do, of which each is asked by itself."""
    params, tokens, sigma = seen
    stacked = params["params"]["stack_s"]["layers"]
    one_by_one = {
        f"layers_{place}": jax.tree.map(lambda x, place=place: x[place], stacked)
        for place in range(3)
    }
    alone = {"params": params["params"] | {"stack_s": one_by_one}}
    scanned = predicted(of_cameras(by_view=True, meet_every=every), *seen)
    plainly = predicted(
        of_cameras(by_view=True, meet_every=every, scan_layers=False), alone, tokens, sigma
    )
    np.testing.assert_allclose(scanned, plainly, rtol=0, atol=1e-6)
    # One layer is the first; two are the first and one apart.
    for depth, other in ((1, {}), (2, {"by_view": True, "meet_every": 1})):
        short = {
            "params": params["params"]
            | {"stack_s": {"layers": jax.tree.map(lambda x, n=depth: x[:n], stacked)}}
        }
        mine = predicted(
            of_cameras(depth=depth, by_view=True, meet_every=every), short, tokens, sigma
        )
        theirs = predicted(of_cameras(depth=depth, **other), short, tokens, sigma)
        same = float(jnp.abs(mine - theirs).max())
        assert same < 1e-6 if depth == 1 else same > 1e-4


def test_a_camera_s_vector_is_added_to_the_level_and_mapped_beside_it():
    plain = Expert(name="e", width=12, mlp=16, modulation="table", clock=CLOCK)
    own = dataclasses.replace(plain, views=3)
    rng = np.random.default_rng(0)
    sigma = jnp.asarray(rng.uniform(size=(2, 4)), jnp.float32)
    view, step = np.array([2, 0, 0, 1]), jnp.zeros((2, 4))
    module = Level(own)
    drawn = drawn_weights(jax.eval_shape(module.init, jax.random.key(0), sigma, step, view))
    level, shared = module.apply(drawn, sigma, step, view)
    bare, before = Level(plain).apply(drawn, sigma, step, view)
    assert shared is not None
    assert before is not None
    vectors, maps = drawn["params"]["view"][view], drawn["params"]["view_shared"]
    np.testing.assert_allclose(level, bare + vectors, rtol=0, atol=1e-6)
    told = jnp.einsum("sw,wpd->spd", jax.nn.silu(vectors), maps["kernel"]) + maps["bias"]
    np.testing.assert_allclose(shared, before + told, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="vectors of cameras: they need modulation 'table'"):
        dataclasses.replace(own, modulation="adaln")


def test_a_line_of_a_longest_length_turns_by_parts_of_it_over_all_heads():
    rotary = Rotary(base=100.0, line=8.0, adjacent=True)
    position = np.zeros((3, 3))
    position[:, 0] = [0, 4, 8]
    angles = rotary_angles(position, 6, rotary, "line", heads=2)
    frequency = 100.0 ** (np.arange(6) / 5) * np.pi / 2
    want = np.stack([-frequency, 0 * frequency, frequency]).reshape(3, 2, 3)
    np.testing.assert_allclose(angles, want, rtol=1e-5)
    grid = rotary_angles(position, 6, rotary, "grid", heads=2)
    plain = rotary_angles(position, 6, dataclasses.replace(rotary, line=0.0), "grid", heads=2)
    np.testing.assert_array_equal(grid, np.broadcast_to(plain, (3, 2, 3)))
    assert not rotary_angles(position, 6, rotary, "none", heads=2).any()
    with pytest.raises(ValueError, match="a rotary canvas or line needs as many key heads"):
        Stack(name="s", depth=1, heads=2, kv_heads=1, head_dim=6, experts=(), rotary=rotary)


def test_what_enters_as_it_is_through_another_stream_has_its_maps():
    model, params, tokens, sigma = toy("trunk")
    width = dict(FEATURES)["action"]
    features = tuple((s, width if s == "proprio" else n) for s, n in FEATURES)
    rng = np.random.default_rng(0)
    place = next(i for i, s in enumerate(LAYOUT.segments) if s.stream == "proprio")
    state = jnp.asarray(rng.normal(size=(2, 1, width)), jnp.float32)
    values = (*tokens.values[:place], state, *tokens.values[place + 1 :])
    told = dataclasses.replace(tokens, values=values)

    def built(features, **changes) -> Wam:
        ports = tuple(
            dataclasses.replace(p, **changes) if p.stream == "proprio" else p
            for p in model.config.ports
        )
        return Wam(dataclasses.replace(model.config, ports=ports), LAYOUT, features)

    weights = params["params"]
    own = {"params": weights | {"embed_proprio": weights["embed_action"]}}
    run = jax.jit(
        lambda model, p: model.apply(p, LAYOUT, told, sigma, method="denoise"), static_argnums=0
    )
    want = run(built(features), own)
    shared = {"params": {k: x for k, x in weights.items() if k != "embed_proprio"}}
    got = run(built(features, through="action", embed="as_is"), shared)
    for stream, x in want.items():
        np.testing.assert_allclose(got[stream], x, rtol=0, atol=1e-6)
    narrow = built(FEATURES, through="action", embed="as_is")
    with pytest.raises(ValueError, match="proprio enters as it is through action, which is 7 wide"):
        narrow.apply(shared, LAYOUT, tokens, sigma, method="denoise")
