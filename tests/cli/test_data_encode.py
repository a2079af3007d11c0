"""`wamjax data encode`, and training on what it made: the codec of one run, frozen in the next."""

import json
import pathlib

import jax
import numpy as np
import pytest

from tests.cli.made_data import make
from tests.cli.test_bad_input import refused, train
from wamjax.cli import encoding
from wamjax.cli.latents import refuse_training
from wamjax.cli.main import main
from wamjax.cli.train import windows_for
from wamjax.core.errors import UserError
from wamjax.data.windows.encoded import Latents
from wamjax.eval.trained_run import open_run
from wamjax.recipes.latents import encoding_of
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.config import StageConfig

pytestmark = pytest.mark.usefixtures("quick_to_compile", "one_device")

CODEC = 'CodecConfig(kind="autoencoder", channels=6, width=8)'


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_device):
    """(data set, config file, folder): a run `ae` that has trained its codec, and its latents."""
    folder = tmp_path_factory.mktemp("made")
    directory, config = make(folder)
    text = config.read_text().replace(
        "from wamjax.train.config",
        "from wamjax.recipes.config import CodecConfig\nfrom wamjax.train.config",
    )
    config.write_text(
        text.replace("system=SMALL", f"system=dataclasses.replace(SMALL, codec={CODEC})")
    )
    assert main(train(config, directory, folder / "ae", "--config.train.steps=5")) == 0
    out = ["--out", str(folder / "latents"), "--batch", "16"]
    assert main(["data", "encode", "--run", str(folder / "ae"), *out]) == 0
    return directory, config, folder


def on(folder: pathlib.Path, *more: str) -> list[str]:
    return [f"--config.data.latents={folder / 'latents'}", *more]


@pytest.mark.slow
def test_a_run_on_latents_begins_and_ends_with_the_codec_that_made_them(made, capsys):
    directory, config, folder = made
    assert main([*train(config, directory, folder / "on", *on(folder)), "--json"]) == 0
    final = json.loads(capsys.readouterr().out)
    assert list(final["trained_parameters"]) == ["joint"]
    first, second = open_run(folder / "ae"), open_run(folder / "on")
    jax.tree.map(np.testing.assert_array_equal, second.weights["codec"], first.weights["codec"])
    # They are the latents of the run's own windows by its own codec.
    windows = windows_for(second.config, folder / "on")
    numbers = np.arange(len(windows))
    encode = jax.jit(encoding_of(second.system).encode)
    wanted = encode(second.weights, windows.batch(numbers).frames)
    latents = Latents(folder / "latents")
    np.testing.assert_allclose(latents.gather(numbers), wanted, atol=1e-6)
    assert np.std(wanted) > 1e-3
    # Started again it is finished; on other latents it is another run.
    assert main(train(config, directory, folder / "on", *on(folder))) == 0
    refused(capsys, train(config, directory, folder / "on"), "data.latents", "another config")


def test_the_same_command_again_changes_nothing(made):
    _, _, folder = made
    before = {p.name: p.read_bytes() for p in (folder / "latents").iterdir()}
    again = ["--run", str(folder / "ae"), "--out", str(folder / "latents"), "--batch", "7"]
    assert main(["data", "encode", *again]) == 0
    assert {p.name: p.read_bytes() for p in (folder / "latents").iterdir()} == before


def test_what_cannot_be_encoded_is_told(made, capsys, tmp_path, monkeypatch):
    directory, config, folder = made
    encode = ["data", "encode", "--out", str(tmp_path / "out")]
    run, file = ["--run", str(folder / "ae")], ["--config", str(config)]
    data = f"--config.data.dir={directory}"
    refused(capsys, encode, "Nothing says what to encode: give --run, or --config")
    refused(capsys, [*encode, *file, data], "codec of small is trained", "as --run")
    refused(capsys, [*encode, *run, data], "give --config to change them")
    refused(capsys, [*encode, *run, "--batch", "0"], "--batch must be at least 1")
    other = [*run, *file, data, "--config.system.codec.channels=3"]
    refused(capsys, [*encode, *other], "channels: 6 there, 3 here", "give the config of that run")
    loaded = load_for_inference(folder / "ae")
    monkeypatch.setattr(encoding, "load_for_inference", lambda _: (*loaded[:3], 0))
    refused(capsys, [*encode, *run], "stands at step 0 and trains its codec until step 1")
    assert not (tmp_path / "out").exists()


def test_runs_that_latents_do_not_fit_are_told(made, capsys, tmp_path):
    directory, config, folder = made

    def refuse(*changes, words):
        argv = train(config, directory, tmp_path / "run", *on(folder, *changes))
        refused(capsys, argv, *words)

    refuse(
        "--config.system.codec.width=4", words=("not those of this run", "width: 8 there, 4 here")
    )
    refuse("--config.data.holdout=0.5", words=("frames.holdout: 0.25 there, 0.5 here",))
    refuse("--config.train.augment.hue=0.1", words=("leave train.augment out",))
    refuse(f"--config.data.latents={tmp_path}", words=("holds no latents",))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_stage_that_trains_the_codec_is_refused():
    weights = {"cut": np.zeros(2)}
    refuse_training((StageConfig(train=("(?!codec/).*",)),), "codec", weights)
    with pytest.raises(UserError, match=r"Stage main trains codec/\.\.\."):
        refuse_training((StageConfig(train=(".*",)),), "codec", weights)
