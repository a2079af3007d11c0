"""Words between frames: what reaches them, what the decoder knows, what each stage trains."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.codec.latent_action import LatentActions, dynamics_loss
from wamjax.codec.quantise import code_counts, dead_share, restarted

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEYS = jax.random.split(jax.random.key(0), 6)
BEFORE, AFTER = (jax.random.normal(key, (3, 6, 5)) for key in KEYS[:2])
TEXT = jax.random.normal(KEYS[2], (3, 4, 7))
SIZE = {"width": 16, "heads": 2, "depth": 2, "slots": 2, "codes": 6, "code_width": 8}
GIVEN = {"irrelevant": (BEFORE, AFTER, TEXT), "central": (BEFORE, AFTER)}


def built(stage: str):
    codec = LatentActions(stage=stage, **SIZE)
    weights = nn.unbox(jax.jit(codec.init)(KEYS[3], *GIVEN[stage]))
    # Codes among the slots, so that more than one of them is used.
    books = {name: w for name, w in weights["params"].items() if name.startswith("codebook")}
    wide = {name: {"codes": 6.0 * book["codes"]} for name, book in books.items()}
    return codec, {"params": weights["params"] | wide}


BUILT = {stage: built(stage) for stage in GIVEN}
RUN = {stage: jax.jit(codec.apply) for stage, (codec, _) in BUILT.items()}


@pytest.mark.parametrize("stage", GIVEN)
def test_shapes_and_words(stage):
    _, weights = BUILT[stage]
    made = RUN[stage](weights, *GIVEN[stage])
    assert made.predicted.shape == AFTER.shape
    assert {*made.quantised} == {"irrelevant", stage}
    for found in made.quantised.values():
        assert found.value.shape == (3, 2, 8)
        assert found.index.shape == (3, 2)
        assert found.index.max() < 6


@pytest.mark.parametrize("stage", GIVEN)
def test_the_words_are_all_that_the_decoder_knows_of_the_later_frame(stage):
    codec, weights = BUILT[stage]
    made = RUN[stage](weights, *GIVEN[stage])
    words = {name: found.index for name, found in made.quantised.items()}
    told = GIVEN[stage][2:]
    decode = jax.jit(lambda words: codec.apply(weights, BEFORE, words, *told, method="decode"))
    np.testing.assert_allclose(decode(words), made.predicted, atol=1e-5)
    for name in words:
        other = words | {name: (words[name] + 1) % 6}
        assert jnp.abs(decode(other) - made.predicted).max() > 1e-4


@pytest.mark.parametrize("stage", GIVEN)
def test_both_frames_reach_the_slots_and_every_trained_weight_has_a_gradient(stage):
    codec, weights = BUILT[stage]

    @jax.jit
    def slopes(weights, before, after):
        def total(weights, before, after):
            made = codec.apply(weights, before, after, *GIVEN[stage][2:])
            return dynamics_loss(made, AFTER)

        return jax.grad(total, argnums=(0, 1, 2))(weights, before, after)

    by_weight, by_before, by_after = slopes(weights, BEFORE, AFTER)
    assert np.all(np.abs(by_before).max((1, 2)) > 0)
    assert np.all(np.abs(by_after).max((1, 2)) > 0)
    still = {
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(by_weight)
        if not np.abs(leaf).max() > 0
    }
    frozen = {"['params']['codebook_irrelevant']['codes']"} if stage == "central" else set()
    assert still == frozen


def test_the_loss_is_the_error_and_the_quantisers_terms():
    _, weights = BUILT["central"]
    made = RUN["central"](weights, *GIVEN["central"])
    error = np.square(np.asarray(made.predicted - AFTER)).mean()
    terms = [float(found.loss) for found in made.quantised.values()]
    np.testing.assert_allclose(dynamics_loss(made, AFTER), error + sum(terms), rtol=1e-5)


def test_the_second_stage_goes_on_with_the_weights_of_the_first():
    """All but what reads the instruction, with the same names and shapes."""
    first, second = (BUILT[stage][1]["params"] for stage in GIVEN)
    shapes = [
        {jax.tree_util.keystr(p): x.shape for p, x in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (first, second)
    ]
    left = {name for name in shapes[0] if "text" not in name}
    assert left <= set(shapes[1])
    assert all(shapes[0][name] == shapes[1][name] for name in left)
    assert all("central" in name for name in set(shapes[1]) - left)


@pytest.mark.parametrize(
    ("stage", "given"), [("irrelevant", GIVEN["central"]), ("central", GIVEN["irrelevant"])]
)
def test_the_instruction_belongs_to_the_first_stage(stage, given):
    codec, weights = BUILT[stage]
    with pytest.raises(ValueError, match="the instruction"):
        codec.apply(weights, *given)


@pytest.mark.slow
def test_it_names_the_moves_that_it_is_shown():
    """Four moves of the features, never labelled: each gets words that no other one has."""
    codec = LatentActions(
        stage="central", width=16, heads=2, depth=1, slots=1, codes=6, code_width=4
    )
    moves = jax.random.normal(KEYS[4], (4, 1, 5))

    def drawn(key):
        a, b = jax.random.split(key)
        move = jax.random.randint(b, (64,), 0, 4)
        before = jax.random.normal(a, (64, 3, 5))
        return before, before + 2 * moves[move], move

    before, after, _ = drawn(KEYS[5])
    params = nn.unbox(jax.jit(codec.init)(KEYS[3], before, after))
    optimizer = optax.adam(5e-3)
    state = optimizer.init(params)

    @jax.jit
    def train_step(params, state, key):
        before, after, _ = drawn(key)

        def total(params):
            made = codec.apply(params, before, after)
            return dynamics_loss(made, after), made

        slope, made = jax.grad(total, has_aux=True)(params)
        change, state = optimizer.update(slope, state)
        return optax.apply_updates(params, change), state, made

    @jax.jit
    def restart(params, made, key):
        found = made.quantised["central"]
        codes = params["params"]["codebook_central"]["codes"]
        slots = codec.apply(params, before, after, method="slots_between")["central"]
        counts = code_counts(found.index, 6)
        fresh = restarted(codes, counts, slots.reshape(-1, 4), key)
        return {"params": params["params"] | {"codebook_central": {"codes": fresh}}}

    for number, key in enumerate(jax.random.split(jax.random.key(7), 300)):
        params, state, made = train_step(params, state, key)
        if number % 25 == 24 and number < 200:
            params = restart(params, made, key)
    before, after, move = drawn(jax.random.key(9))
    made = jax.jit(codec.apply)(params, before, after)
    words = np.asarray(made.quantised["central"].index)[:, 0]
    owners = [{*np.asarray(move)[words == word].tolist()} for word in np.unique(words)]
    assert all(len(owner) == 1 for owner in owners), owners
    assert set().union(*owners) == {0, 1, 2, 3}
    assert jnp.square(made.predicted - after).mean() < 0.1 * jnp.square(after - before).mean()
    assert dead_share(code_counts(made.quantised["central"].index, 6)) <= 2 / 6
