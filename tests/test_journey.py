"""The journey on the simulator's demonstrations: every objective learns, and language matters."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.test_configs import FILES, load
from wamjax.cli.demos import Demos, write_demos
from wamjax.cli.sample import run_sample
from wamjax.cli.train import run_training
from wamjax.core.text import decode_text, encode_text
from wamjax.data import Windows
from wamjax.eval.trained_run import open_run

ARMS = {
    "joint": "quickstart",
    "direct": "quickstart_direct",
    "cotrain": "quickstart_cotrain",
    "two_stage": "quickstart_two_stage",
}
COLOURS = ("red", "green", "blue", "yellow")
# Minutes of training on two cores, twice that beside other work.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return write_demos(tmp_path_factory.mktemp("demos"), Demos(tasks=("reach",), clean=192))


@pytest.fixture(scope="module")
def trained(demos, tmp_path_factory):
    files = {path.stem: path for path in FILES}

    @functools.cache
    def build(name):
        config = load(files[ARMS[name]]).CONFIG
        # Stages share a run's steps; the actions of every arm get at least 300 of them.
        steps = 300 * len(config.stages)
        config = dataclasses.replace(
            config,
            data=dataclasses.replace(config.data, dir=str(demos), holdout=0.15),
            train=dataclasses.replace(config.train, steps=steps, save_every=steps),
        )
        workdir = tmp_path_factory.mktemp(name)
        assert run_training(config, workdir, jax.devices()[:1])["finished"]
        return open_run(workdir)

    return build


@pytest.mark.parametrize("name", list(ARMS))
def test_held_out_actions_beat_the_mean_action(name, trained, tmp_path):
    run = trained(name)
    errors = run_sample(
        run,
        tmp_path / "sample.html",
        directory=None,
        limit=128,
        show=2,
        draws=4,
        seed=0,
        command="",
    )
    assert errors["action_error"] < errors["mean_action_error"]
    assert (errors["frame_error"] is not None) == run.system.predicts_video


def test_swapping_the_named_colour_changes_the_action(trained):
    run = trained("joint")
    windows = Windows(dataclasses.replace(run.config.data, part="heldout"), run.statistics)
    batch = windows.batch(np.arange(min(64, len(windows))))
    swapped = []
    for codes in np.asarray(batch.text):
        words = decode_text(codes)
        named = next(colour for colour in COLOURS if colour in words)
        other = COLOURS[(COLOURS.index(named) + 1) % len(COLOURS)]
        swapped.append(encode_text(words.replace(named, other), len(codes)))

    @jax.jit
    def act(weights, text):
        return run.system.sample_actions(
            weights,
            jnp.asarray(batch.frames)[:, :, :1],
            jnp.asarray(batch.camera_mask),
            jnp.asarray(batch.proprio),
            text,
            jax.random.key(0),
        )

    said, other = (act(run.weights, jnp.asarray(np.stack(t))) for t in (batch.text, swapped))
    again = act(run.weights, jnp.asarray(batch.text))
    np.testing.assert_array_equal(said, again)
    # Towards another cube, or none: the sideways and forward motion is not the same any more.
    assert float(jnp.abs(said - other)[:, :4, :2].mean()) > 0.1
