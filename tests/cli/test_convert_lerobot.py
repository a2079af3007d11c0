"""`wamjax convert --from` and `--to lerobot`: from openpi, there and back to the bit."""

import functools
import json

import flax.traverse_util
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.cli.test_convert import OPENPI, done, refused
from tests.pretrained.test_readers import same, written
from wamjax.core.files import write_json
from wamjax.pretrained import openpi, openpi_lerobot
from wamjax.pretrained.convert import converted
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.family import Family
from wamjax.pretrained.moves import their_shapes
from wamjax.pretrained.opened import open_tensors

VERSIONS = ("pi0", "pi05")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    for version in VERSIONS:
        family = Family(
            name=version,
            about="for tests",
            licence="openpi",
            layouts={
                k: functools.partial(openpi.table, OPENPI, version, k) for k in openpi.LAYOUTS
            },
            target=functools.partial(openpi.target, OPENPI, version),
            beside={"lerobot": openpi_lerobot.beside(OPENPI, version)},
        )
        monkeypatch.setitem(FAMILIES, version, family)


def drawn(version, layout):
    rng = np.random.default_rng(0)
    shapes = their_shapes(openpi.table(OPENPI, version, layout), openpi.target(OPENPI, version))
    return {name: rng.normal(size=x.shape).astype(np.float32) for name, x in shapes.items()}


def policy(folder, version, tensors):
    """A folder as LeRobot leaves it, with statistics by the same name in two files."""
    folder.mkdir()
    written(folder / "model.safetensors", tensors)
    for name in (
        "policy_preprocessor_step_5_n.safetensors",
        "policy_postprocessor_step_0_u.safetensors",
    ):
        written(folder / name, {"action.mean": np.zeros(3, np.float32)})
    (folder / "config.json").write_text(json.dumps({"type": version}))
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_from_openpi_to_lerobot_and_back(tmp_path, capsys, version):
    tensors = drawn(version, "openpi")
    tree = flax.traverse_util.unflatten_dict(tensors, sep="/")
    ocp.PyTreeCheckpointer().save(tmp_path / "ckpt" / "params", {"params": tree})
    first, there, again = (tmp_path / name for name in ("first", "there", "again"))
    done(capsys, "--from", version, tmp_path / "ckpt", "--out", first)
    told = done(capsys, "--to", "lerobot", first, "--out", there)
    assert told["exported"].endswith("lerobot names)")
    assert "statistics" in told["unknown"]
    assert "tokenizer" in told["unknown"]
    assert {x.name for x in there.iterdir()} == {
        "conversion.json",
        "model.safetensors",
        "config.json",
    }
    assert told["tensors"] == len(open_tensors(there).shapes)
    told = done(capsys, "--from", version, there, "--out", again)
    assert told["converted"] == f"{version} (lerobot names)"
    had, got = converted(first)[1], converted(again)[1]
    same(got, {name: had.read(name) for name in had.shapes})
    done(capsys, "--to", "openpi", again, "--out", tmp_path / "back")
    blank = openpi.table(OPENPI, version).blank
    back = open_tensors(tmp_path / "back")
    for name in tensors.keys() - {*blank}:
        assert back.read(name).tobytes() == tensors[name].tobytes()


@pytest.mark.parametrize("layout", ["lerobot", "lerobot-untied"])
def test_a_folder_of_lerobots(tmp_path, capsys, layout):
    """Its statistics are left, which is told; what a user changes in a config stays."""
    tensors = drawn("pi0", layout)
    folder = policy(tmp_path / "policy", "pi0", tensors)
    told = done(capsys, "--from", "pi0", folder, "--out", tmp_path / "ours")
    assert told["converted"] == f"pi0 ({layout} names)"
    assert told["not read"] == (
        "policy_postprocessor_step_0_u.safetensors, policy_preprocessor_step_5_n.safetensors"
    )
    command = ["--to", "lerobot", tmp_path / "ours", "--out", tmp_path / "back"]
    done(capsys, *command)
    renamed = {
        openpi_lerobot.HEAD if name == openpi_lerobot.WORDS else name: x
        for name, x in tensors.items()
    }
    renamed[openpi_lerobot.IDLE] = np.zeros_like(tensors[openpi_lerobot.IDLE])
    back = open_tensors(tmp_path / "back")
    assert back.shapes.keys() == renamed.keys()
    for name, x in renamed.items():
        assert back.read(name).tobytes() == x.tobytes()
    config = tmp_path / "back" / "config.json"
    made = json.loads(config.read_text())
    assert made["type"] == "pi0"
    assert made["max_action_dim"] == OPENPI.action
    config.write_text("{}")
    done(capsys, *command)
    assert config.read_text() == "{}"


def test_what_is_not_one_of_its_policies_is_refused(tmp_path, capsys):
    tensors = drawn("pi05", "lerobot")
    folder = policy(tmp_path / "policy", "pi05", tensors)
    out = tmp_path / "x"
    refused(capsys, ["--from", "pi0", folder, "--out", out], "do not fit", "model.state_proj")
    memory = {**tensors, "model.proprio_history_proj.bias": np.zeros(6, np.float32)}
    written(folder / "model.safetensors", memory)
    refused(capsys, ["--from", "pi05", folder, "--out", out], "unexpected", "proprio_history")
    del tensors["model.time_mlp_in.bias"]
    written(folder / "model.safetensors", tensors)
    refused(capsys, ["--from", "pi05", folder, "--out", out], "missing", "model.time_mlp_in.bias")
    words = ["converted from openpi or LeRobot"]
    refused(capsys, ["--to", "lerobot", folder, "--out", out], *words)
    assert not out.exists()


def test_a_full_disk_is_told(tmp_path, capsys, monkeypatch):
    folder = policy(tmp_path / "policy", "pi0", drawn("pi0", "lerobot"))
    done(capsys, "--from", "pi0", folder, "--out", tmp_path / "ours")

    def full(path, value):
        if path.name == "config.json":
            raise OSError(28, "No space left on device")
        return write_json(path, value)

    monkeypatch.setattr("wamjax.pretrained.convert.write_json", full)
    command = ["--to", "lerobot", tmp_path / "ours", "--out", tmp_path / "back"]
    refused(capsys, command, "No space left on device", "make room")
