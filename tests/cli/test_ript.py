"""`wamjax train` with a ript stage: bad input in one sentence, and the whole way in small."""

import json

import pytest

from tests.cli.made_data import make
from wamjax.cli.main import main
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.metrics import read_metrics

CONFIG = "--config=configs/ript_reach.py"


def refused(capsys, argv):
    assert main(["train", *argv]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "give --config.ript.start=DIR"),
        (["--config.ript.start=nowhere"], "nowhere does not exist"),
        (["--config.ript.start=configs"], "train there first"),
        (["--config.ript.rollouts=1"], "rollouts must be at least 2"),
        (["--config.ript.tasks=('fly',)"], "fly"),
        (["--config.ript.strenght=1"], "strenght"),
        (["--config.system.solver_steps=3"], "system.solver_steps has no meaning in a ript stage"),
        (["--config.train.steps=3"], "are those of ript.start"),
    ],
)
def test_bad_input(capsys, tmp_path, overrides, words):
    error = refused(capsys, [CONFIG, f"--workdir={tmp_path / 'w'}", *overrides])
    assert words in error, error
    assert not (tmp_path / "w").exists()


@pytest.fixture(scope="module")
def imitated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imitated")
    directory, config = make(folder)
    argv = [f"--config={config}", f"--config.data.dir={directory}"]
    assert main(["train", *argv, f"--workdir={folder / 'joint'}"]) == 0
    two = ["--config.system.training=two_stage", f"--workdir={folder / 'two_stage'}"]
    assert main(["train", *argv, *two]) == 0
    return folder


@pytest.mark.slow
def test_a_policy_without_log_probability_is_refused(capsys, tmp_path, imitated):
    start = f"--config.ript.start={imitated / 'two_stage'}"
    assert "two phases" in refused(capsys, [CONFIG, start, f"--workdir={tmp_path / 'w'}"])


@pytest.mark.slow
def test_from_pixels_to_a_run_that_is_evaluated(capsys, tmp_path, imitated):
    workdir = tmp_path / "ript"
    settings = {"iterations": 2, "groups": 2, "rollouts": 2, "rounds": 1, "minibatches": 1}
    settings |= {"evaluate_worlds": 2, "evaluate_every": 2}
    words = [f"--config.ript.{name}={value}" for name, value in settings.items()]
    start = f"--config.ript.start={imitated / 'joint'}"
    assert main(["train", CONFIG, start, *words, f"--workdir={workdir}", "--json"]) == 0
    final = json.loads(capsys.readouterr().out)
    assert final["step"] == 2
    rows = read_metrics(workdir)
    assert [row["step"] for row in rows if "success/reach" in row] == [0, 2]
    assert all(0 <= row["reward"] <= 1 for row in rows if "reward" in row)
    assert (workdir / "curve.png").stat().st_size > 10_000
    config, statistics, _, _ = load_for_inference(workdir)
    theirs, told, _, _ = load_for_inference(imitated / "joint")
    assert (config["system"], config["data"]) == (theirs["system"], theirs["data"])
    assert statistics == told
    out = ["eval", f"--workdir={workdir}", "--axes=none", "--worlds=2", "--batch=2"]
    assert main(out) == 0
