"""Best of N: the chunk whose futures have the highest mean value, among exactly N draws."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.test_learner import KEY, ROWS, batch, weights
from wamjax.core.keys import named_keys
from wamjax.recipes import cosmos_policy
from wamjax.recipes.forms import Known
from wamjax.recipes.learner import Learner
from wamjax.recipes.planning import Planning, apart, best_of, value_of
from wamjax.recipes.recipe_config import RecipeConfig

pytestmark = pytest.mark.usefixtures("quick_to_compile")

FORMS = {"policy": "act", "world": "dream", "judge": "judge"}
PLANNING = Planning(candidates=8, futures=3, values=(1, 2, 4), **FORMS)
VALUE = 5
COSMOS = RecipeConfig(recipe="cosmos_policy", solver_steps=2)


def toy(form, frames, key, steps):
    """Chunks are draws, futures chunks that are shifted, values futures with noise by steps."""
    noise = jax.random.normal(key, (4, 2, 6))
    match form:
        case "act":
            assert not frames
            return {1: noise, VALUE: noise - 9.0}
        case "dream":
            return {2: frames[1] + 0.3 * noise}
        case _:
            return {VALUE: 0.2 * (frames[1] + frames[2]) + 0.1 * noise / steps}


def by_hand(draw, planning: Planning, place: int, key, candidates: int, steps=None):
    """(every chunk [N], every mean value [N, B]) in plain loops, with the same keys."""
    keys = named_keys(key, "candidates", "futures")
    chunks, values = [], []
    for own, ahead in zip(
        jax.random.split(keys["candidates"], candidates),
        jax.random.split(keys["futures"], candidates),
        strict=True,
    ):
        chunk = draw(planning.policy, {}, own, steps)
        seen = []
        for key in jax.random.split(ahead, planning.futures):
            inner = named_keys(key, "future", "values")
            future = {**chunk, **draw(planning.world, chunk, inner["future"], steps)}
            for turn, count in enumerate(planning.values):
                own = jax.random.fold_in(inner["values"], turn)
                count = count if steps is None else min(count, steps)
                seen.append(value_of(draw(planning.judge, future, own, count)[place]))
        chunks.append(chunk)
        values.append(np.mean(seen, axis=0))
    return chunks, np.stack(values)


@pytest.mark.parametrize("candidates", [1, 2, 7])
def test_the_answer_is_the_candidate_with_the_highest_mean_value(candidates):
    found, value = jax.jit(lambda key: best_of(toy, PLANNING, VALUE, key, candidates=candidates))(
        KEY
    )
    chunks, values = by_hand(toy, PLANNING, VALUE, KEY, candidates)
    best = values.argmax(0)
    # Every row of the batch has a best candidate of its own.
    assert candidates < 7 or len({*best.tolist()}) > 1
    np.testing.assert_allclose(value, values.max(0), atol=1e-6)
    for name in (1, VALUE):
        wanted = np.stack([chunks[which][name][row] for row, which in enumerate(best)])
        np.testing.assert_allclose(found[name], wanted, atol=1e-6)


def test_a_value_is_read_between_nothing_and_a_solved_task():
    frame = jnp.broadcast_to(jnp.array([-3.0, -1.0, 0.0, 1.0, 1.5])[:, None, None], (5, 2, 3))
    np.testing.assert_allclose(value_of(frame), [0.0, 0.0, 0.5, 1.0, 1.0])


@pytest.fixture
def small(monkeypatch):
    """(candidates) -> the recipe with two futures of each chunk and two values of each future."""
    learning = COSMOS.learning
    planning = dataclasses.replace(learning.planning, futures=2, values=(1, 2))
    fewer = dataclasses.replace(learning, planning=planning)
    monkeypatch.setattr(cosmos_policy, "LEARNING", fewer)
    return lambda candidates: Learner(dataclasses.replace(COSMOS, candidates=candidates))


def observed():
    data = batch(COSMOS)
    seen = (data.frames[:, :, : COSMOS.history], data.camera_mask, data.proprio, data.text)
    return tuple(map(jnp.asarray, seen))


@pytest.mark.slow
def test_a_recipe_s_plan_is_the_loop_over_its_forms(small):
    one, plain = small(3), Learner(dataclasses.replace(COSMOS))
    params = weights(COSMOS)
    planned = jax.jit(lambda key: one.sample(params, *observed(), key, video=True))(KEY)
    there = plain.scene(*observed())
    forms = {form: plain.in_form(form) for form in ("policy", "world_model", "value")}

    @jax.jit(static_argnums=(0, 3))
    def draw(form, frames, key, steps):
        own = forms[form]
        out = own.walked(params, there, key, imagine=False, frames=frames, steps=steps)
        return apart(own.blueprint.program[0].segments, out["video"])

    place = COSMOS.learning.painted.index("value")
    _, values = by_hand(draw, one.learning.planning, place, KEY, 3, steps=2)
    np.testing.assert_allclose(planned["value"], values.max(0), atol=1e-4)
    # What is executed is the plain sample of the best candidate's key.
    keys = jax.random.split(named_keys(KEY, "candidates", "futures")["candidates"], 3)
    act = jax.jit(lambda key: plain.sample(params, *observed(), key, video=True))
    plains = [act(key) for key in keys]
    best = values.argmax(0)
    for name in ("action", "proprio"):
        wanted = np.stack([plains[which][name][row] for row, which in enumerate(best)])
        np.testing.assert_allclose(planned[name], wanted, atol=1e-3)
    wanted = np.stack([plains[which]["frames"][row] for row, which in enumerate(best)])
    assert np.abs(planned["frames"].astype(int) - wanted.astype(int)).max() <= 1


def test_one_candidate_is_no_planning(small):
    params = weights(COSMOS)
    one, plain = (
        jax.jit(lambda key, own=own: own.sample(params, *observed(), key, video=True))(KEY)
        for own in (small(1), Learner(COSMOS))
    )
    jax.tree.map(np.testing.assert_array_equal, one, plain)


def test_a_future_that_goes_on_is_one_that_is_known():
    """A form sees the frames that another denoised as it sees recorded ones."""
    one, params, data = Learner(COSMOS).in_form("value"), weights(COSMOS), batch(COSMOS)
    known = Known(
        frames=jnp.asarray(data.frames[:, :, COSMOS.history :]),
        actions=jnp.asarray(data.actions),
        proprio=jnp.asarray(data.next_proprio),
    )
    told = jax.jit(lambda known: one.sample(params, *observed(), KEY, video=True, known=known))
    value = told(known)["value"]
    assert value.shape == (ROWS,)
    there = (
        Learner(COSMOS).scene(*observed()).replace(actions=known.actions, next_state=known.proprio)
    )
    whole = jnp.concatenate([data.frames[:, :, :1], known.frames], axis=2)
    there = there.replace(frames=whole.astype(jnp.float32) / 127.5 - 1.0)
    frames = {
        round(s.start): one.reader.change(there, s)
        for s in one.blueprint.program[0].segments
        if s.copy == "cond"
    }
    blind = Learner(COSMOS).scene(*observed())
    out = jax.jit(lambda f: one.walked(params, blind, KEY, imagine=False, frames=f))(frames)
    np.testing.assert_allclose(value_of(out["video"]), value, atol=1e-4)
    for changes in (
        {"actions": -known.actions}, {"proprio": -known.proprio}, {"frames": 255 - known.frames},
    ):  # fmt: skip
        assert (told(known.replace(**changes))["value"] != value).any()
    with pytest.raises(ValueError, match="given true frames: pass known"):
        one.sample(params, *observed(), KEY, video=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"recipe": "pi05", "candidates": 2}, "pi05 has no values to choose among 2 candidates"),
        ({"recipe": "cosmos_policy", "candidates": 0}, "at least 1, got 0"),
        (
            {"recipe": "cosmos_policy", "candidates": 2, "form": "value"},
            "in form 'policy' alone: leave candidates at 1 in form 'value'",
        ),
    ],
)
def test_what_cannot_plan_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        RecipeConfig(**settings)


def test_data_without_values_are_refused():
    data = batch(COSMOS).replace(value=None)
    with pytest.raises(ValueError, match=r"deliver none: set data.value_discount to 0.99"):
        Learner(COSMOS).loss(weights(COSMOS), data, KEY, "all")
