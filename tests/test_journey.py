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
from wamjax.recipes.foresight import future_features
from wamjax.recipes.parts import pixels

ARMS = {
    "joint": "quickstart",
    "direct": "quickstart_direct",
    "cotrain": "quickstart_cotrain",
    "inverse": "quickstart_inverse",
    "latent": "quickstart_latent",
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


def beats_the_mean_action(run, out):
    errors = run_sample(
        run,
        out,
        directory=None,
        limit=128,
        show=2,
        draws=4,
        seed=0,
        command="",
    )
    ours, mean = errors["action_error"], errors["mean_action_error"]
    print(f"{run.config.name}, {run.config.system.program}: {ours:.3f}, mean action {mean:.3f}")
    assert ours < mean
    assert (errors["frame_error"] is not None) == run.system.predicts_video


@pytest.mark.parametrize("name", list(ARMS))
def test_held_out_actions_beat_the_mean_action(name, trained, tmp_path):
    beats_the_mean_action(trained(name), tmp_path / "sample.html")


@pytest.mark.parametrize("program", ["action_only", "video_then_action"])
def test_the_joint_weights_beat_it_in_their_other_modes(program, trained, tmp_path):
    beats_the_mean_action(trained("joint").sampling(program), tmp_path / "sample.html")


def shares(run):
    """The features' standard deviation over held-out windows, and of their variance the shares
    that the instruction does not tell, and that come between the two future frames."""
    windows = Windows(dataclasses.replace(run.config.data, part="heldout"), run.statistics)
    batch = windows.batch(np.arange(min(256, len(windows))))

    @jax.jit
    def look(weights):
        frames = pixels(jnp.asarray(batch.frames))[:, :, 1:]
        told = jnp.asarray(batch.camera_mask), jnp.asarray(batch.text)
        return future_features(run.system.parts, weights, frames, *told)

    found = np.asarray(look(run.weights))[np.asarray(batch.frame_mask)[:, 1:].all(1)]
    text = np.asarray(batch.text)[np.asarray(batch.frame_mask)[:, 1:].all(1)]
    _, group = np.unique(text, axis=0, return_inverse=True)
    means = np.stack([found[group == one].mean((0, 1)) for one in range(group.max() + 1)])
    within = np.square(found - means[group][:, None]).mean((0, 1)).sum()
    between = np.square(found[:, 1] - found[:, 0]).mean(0).sum() / 4
    whole = found.var((0, 1))
    return float(np.sqrt(whole).mean()), within / whole.sum(), between / whole.sum()


def test_features_that_are_foreseen_still_tell_windows_apart(trained):
    foreseen, plain = shares(trained("latent")), shares(trained("direct"))
    for name, found in (("latent", foreseen), ("direct", plain)):
        said = "spread {:.3f}, not told by the instruction {:.2f}, between frames {:.3f}"
        print(f"{name}: {said.format(*found)}")
    assert foreseen[0] > 0.05
    assert foreseen[1] > 0.5 * plain[1]


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
