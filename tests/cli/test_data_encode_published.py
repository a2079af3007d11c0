"""`wamjax data encode --weights`: latents by a published codec, and a run on them."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.made_data import make
from tests.cli.test_bad_input import refused, train
from tests.weights import drawn_weights
from wamjax.cli import config_file
from wamjax.cli.main import main
from wamjax.cli.train import windows_for
from wamjax.codec.wan_sizes import WAN21
from wamjax.core.tree import leaves_by_path
from wamjax.data.windows.encoded import Latents
from wamjax.eval.trained_run import open_run
from wamjax.pretrained.codecs import target
from wamjax.pretrained.moves import theirs
from wamjax.pretrained.wan_vae import table
from wamjax.recipes import codecs
from wamjax.recipes.parts import pixels

pytestmark = pytest.mark.usefixtures("quick_to_compile", "one_device")

TINY = dataclasses.replace(
    WAN21, base=2, decoder_base=2, channels=3, mean=WAN21.mean[:3], std=WAN21.std[:3], resnets=1
)


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_device):
    """(data set, config file, folder, weights); `wan.safetensors` has diffusers' names."""
    folder = tmp_path_factory.mktemp("made")
    directory, config = make(folder)
    system = 'dataclasses.replace(SMALL, future=4, codec=CodecConfig(kind="wan21", temporal=4))'
    text = (
        config.read_text()
        .replace("system=SMALL", f"system={system}")
        .replace(
            "from wamjax.train.config",
            "from wamjax.recipes.config import CodecConfig\nfrom wamjax.train.config",
        )
    )
    config.write_text(text.replace("image_size=16,", "image_size=16, future=4,"))
    weights = drawn_weights(target(TINY))
    save_file(theirs(table(TINY, "diffusers"), weights), folder / "wan.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "CODECS", {**codecs.CODECS, "wan21": lambda _: TINY})
        yield directory, config, folder, weights


def encode(made, out, *more):
    directory, config, _, _ = made
    return [
        *("data", "encode", "--config", str(config), f"--config.data.dir={directory}"),
        *("--out", str(out), "--batch", "16", *more),
    ]


@pytest.fixture(scope="module")
def latents(made):
    folder = made[2]
    assert main(encode(made, folder / "latents", "--weights", str(folder / "wan.safetensors"))) == 0
    return Latents(folder / "latents")


def test_the_latents_are_those_of_the_file(made, latents):
    directory, config, _, weights = made
    kept = latents.weights()
    assert kept.keys() == leaves_by_path(weights).keys()
    config = config_file.load(str(config), [f"--config.data.dir={directory}"])
    windows = windows_for(config, None)
    numbers = np.arange(4)
    frames = pixels(windows.batch(numbers).frames[:, 0])
    run = jax.jit(functools.partial(TINY.apply, method="encode"))
    wanted = run({"params": weights}, frames)
    assert wanted.shape == (4, 2, 2, 2, 3)
    np.testing.assert_allclose(latents.gather(numbers)[:, 0], wanted, atol=1e-4)
    assert np.std(wanted) > 1e-3


@pytest.mark.slow
def test_a_run_on_them_leaves_the_codec_as_it_was(made, latents, capsys):
    directory, config, folder, weights = made
    argv = train(config, directory, folder / "on", f"--config.data.latents={folder / 'latents'}")
    assert main([*argv, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["trained_parameters"]) == ["joint"]
    after = open_run(folder / "on").weights["codec"]
    jax.tree.map(np.testing.assert_array_equal, after, weights)


def test_what_does_not_fit_is_told(made, capsys, tmp_path):
    directory, config, folder, _ = made
    file = ["--weights", str(folder / "wan.safetensors")]
    refused(capsys, encode(made, tmp_path / "out"), "is a published one", "--weights")
    patch = "--config.system.codec.kind=patch"
    refused(capsys, encode(made, tmp_path / "out", *file, patch), "leave out --weights")
    wider = "--config.system.codec.temporal=2"
    refused(capsys, encode(made, tmp_path / "out", *file, wider), "set codec.temporal to 4, got 2")
    refused(capsys, train(config, directory, tmp_path / "run"), "published one (wan21)", "latents")
    assert not (tmp_path / "out").exists()
