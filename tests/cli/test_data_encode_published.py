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
from wamjax.codec.ltx_vae import LTXVAE
from wamjax.codec.wan_sizes import WAN21
from wamjax.core.tree import leaves_by_path
from wamjax.data.windows.encoded import Latents
from wamjax.eval.trained_run import open_run
from wamjax.pretrained import ltx_vae, wan_vae
from wamjax.pretrained.codecs import target
from wamjax.pretrained.moves import theirs
from wamjax.recipes import codecs
from wamjax.recipes.parts import pixels

pytestmark = pytest.mark.usefixtures("quick_to_compile", "one_device")

WAN = dataclasses.replace(
    WAN21, base=2, decoder_base=2, channels=3, mean=WAN21.mean[:3], std=WAN21.std[:3], resnets=1
)
LTX = LTXVAE(channels=3, widths=(2, 4, 4, 4), resnets=(1, 1, 1, 1, 1))
# Kind -> (a small one, its names).
TINY = {"wan21": (WAN, functools.partial(wan_vae.table, layout="diffusers"))}
TINY |= {"ltx": (LTX, ltx_vae.table)}


@pytest.fixture(scope="module", params=TINY)
def made(request, tmp_path_factory, one_device):
    """(data set, config file, folder, kind, weights); `vae.safetensors` has diffusers' names."""
    codec, table = TINY[kind := request.param]
    folder = tmp_path_factory.mktemp("made")
    directory, config = make(folder)
    time, side = codec.strides
    size = 2 * side
    of_codec = (
        f'future={time}, image_size={size}, codec=CodecConfig(kind="{kind}", temporal={time})'
    )
    system = f"dataclasses.replace(SMALL, {of_codec})"
    text = (
        config.read_text()
        .replace("image_size=16,", f"image_size={size}, future={time},")
        .replace("system=SMALL", f"system={system}")
        .replace(
            "from wamjax.train.config",
            "from wamjax.recipes.config import CodecConfig\nfrom wamjax.train.config",
        )
    )
    config.write_text(text)
    weights = drawn_weights(target(codec))
    save_file(theirs(table(codec), weights), folder / "vae.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "CODECS", {**codecs.CODECS, kind: lambda _: codec})
        yield directory, config, folder, kind, weights


def encode(made, out, *more):
    directory, config, *_ = made
    return [
        *("data", "encode", "--config", str(config), f"--config.data.dir={directory}"),
        *("--out", str(out), "--batch", "16", *more),
    ]


@pytest.fixture(scope="module")
def latents(made):
    folder = made[2]
    assert main(encode(made, folder / "latents", "--weights", str(folder / "vae.safetensors"))) == 0
    return Latents(folder / "latents")


def test_the_latents_are_those_of_the_file(made, latents):
    directory, config, _, kind, weights = made
    kept = latents.weights()
    assert kept.keys() == leaves_by_path(weights).keys()
    config = config_file.load(str(config), [f"--config.data.dir={directory}"])
    windows = windows_for(config, None)
    numbers = np.arange(4)
    frames = pixels(windows.batch(numbers).frames[:, 0])
    run = jax.jit(functools.partial(TINY[kind][0].apply, method="encode"))
    wanted = run({"params": weights}, frames)
    codec = TINY[kind][0]
    assert wanted.shape == (4, *codec.latent_shape(*frames.shape[1:4]))
    np.testing.assert_allclose(latents.gather(numbers)[:, 0], wanted, atol=1e-4)
    assert np.std(wanted) > 1e-3


@pytest.mark.slow
def test_a_run_on_them_leaves_the_codec_as_it_was(made, latents, capsys):
    directory, config, folder, _, weights = made
    argv = train(config, directory, folder / "on", f"--config.data.latents={folder / 'latents'}")
    assert main([*argv, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["trained_parameters"]) == ["joint"]
    after = open_run(folder / "on").weights["codec"]
    jax.tree.map(np.testing.assert_array_equal, after, weights)


def test_what_does_not_fit_is_told(made, capsys, tmp_path):
    directory, config, folder, kind, _ = made
    file = ["--weights", str(folder / "vae.safetensors")]
    refused(capsys, encode(made, tmp_path / "out"), "is a published one", "--weights")
    patch = "--config.system.codec.kind=patch"
    refused(capsys, encode(made, tmp_path / "out", *file, patch), "leave out --weights")
    frames = TINY[kind][0].strides[0]
    wider = "--config.system.codec.temporal=2"
    refused(
        capsys,
        encode(made, tmp_path / "out", *file, wider),
        f"set codec.temporal to {frames}, got 2",
    )
    refused(
        capsys, train(config, directory, tmp_path / "run"), f"published one ({kind})", "latents"
    )
    assert not (tmp_path / "out").exists()
