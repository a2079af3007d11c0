"""A trained run is written as safetensors and becomes a run again: the same policy, to the bit."""

import json

import jax
import numpy as np
import pytest
import yaml

from tests.cli.made_data import episodes
from tests.train.test_loop import go, run
from wamjax.cli.main import main
from wamjax.core.config import fingerprint
from wamjax.core.files import read_json
from wamjax.core.records import Observation
from wamjax.core.tree import leaves_by_path
from wamjax.data.writing.rlds import write_rlds
from wamjax.eval.trained_run import open_run
from wamjax.pretrained.opened import open_tensors
from wamjax.train.checkpoint import load_for_inference

pytestmark = pytest.mark.usefixtures("quick_to_compile", "one_device")

CONFIG = '''"""A published system, very small, for a few steps."""
import dataclasses

from wamjax.cli.recipe_run import recipe_run
from wamjax.core.config import to_flags

RUN = recipe_run("fast_wam")
DATA = dataclasses.replace(RUN.data, holdout=0.25, prefetch=0)
TRAIN = dataclasses.replace(RUN.train, steps=3, batch=8, save_every=3, log_every=1)


def get_config():
    return to_flags(dataclasses.replace(RUN, data=DATA, train=TRAIN))
'''


def refused(capsys, argv, *words):
    assert main([*map(str, argv)]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    for word in words:
        assert word in error, error


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(workdir of a run of fast_wam, what `--to safetensors` made of it)."""
    folder = tmp_path_factory.mktemp("fast_wam")
    data = write_rlds(folder / "data", "square", "1.0.0", episodes(6, length=12))
    (folder / "config.py").write_text(CONFIG)
    workdir = folder / "run"
    words = ["--config", str(folder / "config.py"), f"--config.data.dir={data}"]
    assert main(["train", *words, f"--workdir={workdir}"]) == 0
    out = folder / "weights"
    assert main(["convert", "--to", "safetensors", str(workdir), "--out", str(out)]) == 0
    return workdir, out


def test_it_becomes_a_run_with_the_same_actions(trained, tmp_path, capsys):
    workdir, weights = trained
    back = tmp_path / "back"
    assert main(["convert", "--to", "run", str(weights), "--out", str(back), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == f"{back}, step 3"
    runs = [open_run(workdir), open_run(back)]
    assert runs[0].config == runs[1].config
    assert runs[0].statistics == runs[1].statistics
    assert runs[0].final == runs[1].final
    assert runs[1].final is not None
    rng = np.random.default_rng(0)
    policies = [one.policy(("primary", "wrist")) for one in runs]
    assert policies[0].needs == policies[1].needs
    needs = policies[0].needs
    assert needs is not None
    side = needs.image_size
    seen = Observation(
        frames=rng.integers(0, 256, (2, 2, needs.history, side, side, 3), dtype=np.uint8),
        camera_mask=np.ones((2, 2), bool),
        proprio=rng.normal(size=(2, needs.proprio)).astype(np.float32),
        text=rng.integers(60, 90, (2, needs.text), dtype=np.uint8),
    )
    act = jax.jit(policies[0].act)
    actions = [np.asarray(act(one.weights, seen, jax.random.key(5))) for one in runs]
    assert actions[0].tobytes() == actions[1].tobytes()
    assert not np.array_equal(actions[0], act(runs[1].weights, seen, jax.random.key(6)))
    # What comes back is exported to the same bytes.
    again = tmp_path / "again"
    assert main(["convert", "--to", "safetensors", str(back), "--out", str(again)]) == 0
    for file in weights.glob("*.safetensors"):
        assert file.read_bytes() == (again / file.name).read_bytes()


def test_every_averaged_weight_is_there_under_its_path(trained):
    workdir, weights = trained
    tensors = open_tensors(weights)
    leaves = leaves_by_path(load_for_inference(workdir)[2])
    assert {*tensors.shapes} == {*leaves}
    for path, leaf in leaves.items():
        assert tensors.read(path).tobytes() == np.asarray(leaf).tobytes()


def test_a_run_that_came_back_is_not_trained_on(tmp_path, capsys):
    config = run(steps=4, save_every=2)
    go(config, tmp_path / "run")
    words = ["convert", "--to", "safetensors", tmp_path / "run", "--out", tmp_path / "out"]
    assert main([*map(str, words)]) == 0
    assert main(["convert", "--to", "run", f"{tmp_path}/out", "--out", f"{tmp_path}/back"]) == 0
    # Finished, it is left alone as any other; unfinished, there is no optimizer to go on with.
    assert "nothing to do" in go(config, tmp_path / "back")[1]
    (tmp_path / "back" / "final.json").unlink()
    with pytest.raises(Exception, match="holds the weights of a run without its optimizer"):
        go(config, tmp_path / "back")


def test_what_is_not_whole_is_refused(trained, tmp_path, capsys):
    _, weights = trained
    back = ["--out", tmp_path / "back"]
    refused(capsys, ["convert", "--to", "run", tmp_path, *back], "is no exported run", "--to safe")
    refused(capsys, ["convert", "--to", "run", weights, "--out", weights], "is not empty")
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in weights.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (file,) = broken.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    refused(capsys, ["convert", "--to", "run", broken, *back], "not those that were exported")
    (broken / "statistics.json").unlink()
    file.write_bytes((weights / file.name).read_bytes())
    refused(capsys, ["convert", "--to", "run", broken, *back], "statistics.json does not exist")
    assert not (tmp_path / "back").exists()


def test_the_card_tells_the_run_by_its_own_files(trained):
    workdir, weights = trained
    text = (weights / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["license"] == "unknown"
    assert front["library_name"] == "wamjax"
    assert front["tags"] == ["robotics", "jax", "fast_wam"]
    final, config = read_json(workdir / "final.json"), read_json(workdir / "config.json")
    statistics = read_json(weights / "statistics.json")
    assert json.loads(body.split("```json\n")[1].split("```")[0]) == config
    rows = {
        "step": "3",
        "batch": "8",
        "parameters": f"{final['parameters']:,}",
        "trained parameters": f"all {final['parameters']:,}",
        "SHA-256 of the weights": f"`{final['weights_sha256']}`",
        "device": final["device"],
        "loss": f"{final['losses']['loss']:.4g}",
        "fingerprint": f"`{fingerprint(statistics['fingerprint'])}`",
        "episodes": "5",
        "steps": "60",
        "wamjax": final["source"],
        "jax": jax.__version__,
    }
    for name, value in rows.items():
        assert f"| {name} | {value} |" in body
    mean, std = (statistics["action"][key][1] for key in ("mean", "std"))
    assert f"| 1 | {mean:.4g} | {std:.4g} |" in body
    assert "state\nyour own" in body
    # A licence that was written into it stays.
    (weights / "README.md").write_text(text.replace("unknown", "mit", 1))
    assert main(["convert", "--to", "safetensors", str(workdir), "--out", str(weights)]) == 0
    assert yaml.safe_load((weights / "README.md").read_text().split("---")[1])["license"] == "mit"


def test_a_plan_tells_what_a_run_would_begin_with(trained, tmp_path, capsys):
    workdir, out = trained
    config = str(workdir.parent / "config.py")
    words = ["plan", "--config", config, "--topology", "v5p:2x2x1", "--analytic"]
    assert main([*words, f"--config.train.start={out}"]) == 0
    told = capsys.readouterr()
    assert f"start: {out.name}" in told.err
    assert "loaded" in told.err
    assert "fresh" not in told.err
    assert "v5p:2x2x1" in told.out
    refused(capsys, [*words, f"--config.train.start={tmp_path}"], "neither a workdir nor what")
