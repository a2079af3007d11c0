"""`wamjax convert`: there and back to the bit, and every refusal in a sentence."""

import functools
import json

import jax
import numpy as np
import pytest

from tests.pretrained import zip_files
from tests.pretrained.test_readers import same, written
from tests.train.test_loop import go, run
from wamjax.cli.main import main
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained import wan
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.family import Family
from wamjax.pretrained.moves import theirs
from wamjax.pretrained.opened import open_tensors
from wamjax.train.checkpoint import load_for_inference

SIZES = wan.Sizes(heads=2, head_dim=8, depth=2, mlp=12, text=6, channels=3)


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), wan.target(SIZES))


@pytest.fixture(autouse=True)
def tiny(monkeypatch, params):
    for name, licence in (("tiny", "wan"), ("bound", "ge-act")):
        family = Family(
            name=name,
            about="for tests",
            licence=licence,
            layouts={k: functools.partial(wan.table, SIZES, k) for k in wan.LAYOUTS},
            target=lambda: params,
        )
        monkeypatch.setitem(FAMILIES, name, family)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, params):
    tensors = theirs(wan.table(SIZES, "original"), params)
    return written(tmp_path_factory.mktemp("ckpt") / "a.safetensors", tensors), tensors


def refused(capsys, argv, *words):
    assert main(["convert", *map(str, argv)]) == 2
    error = capsys.readouterr().err.strip()
    assert "Traceback" not in error
    for word in words:
        assert word in error, error


def done(capsys, *argv):
    assert main(["convert", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_there_and_back(tmp_path, capsys, checkpoint):
    path, tensors = checkpoint
    told = done(capsys, "--from", "tiny", path, "--out", tmp_path / "ours")
    assert told["converted"] == "tiny (original names)"
    assert told["licence"].startswith("Apache-2.0")
    told = done(capsys, "--from", "tiny", path, "--verify", "--out", tmp_path / "ours")
    assert told["verdict"].startswith(f"all {len(tensors)} tensors are used once; 0 of them differ")
    done(capsys, "--to", "safetensors", tmp_path / "ours", "--out", tmp_path / "back")
    same(open_tensors(tmp_path / "back"), tensors)
    # The same command again changes nothing.
    before = {x.name: x.stat().st_mtime_ns for x in (tmp_path / "ours").glob("*.safetensors")}
    done(capsys, "--from", "tiny", path, "--out", tmp_path / "ours")
    assert before == {
        x.name: x.stat().st_mtime_ns for x in (tmp_path / "ours").glob("*.safetensors")
    }


def test_a_zip_file_under_a_prefix_with_the_other_names(tmp_path, capsys, params, checkpoint):
    nested = {f"net.{name}": x for name, x in theirs(wan.table(SIZES), params).items()}
    path = zip_files.write(tmp_path / "a.pt", zip_files.entries(nested))
    refused(capsys, ["--from", "tiny", path, "--out", tmp_path / "x"], "missing", "prefix 'net.'")
    assert not (tmp_path / "x").exists()
    out = tmp_path / "ours"
    told = done(capsys, "--from", "tiny", path, "--prefix", "net.", "--out", out)
    assert told["converted"] == "tiny (diffusers names)"
    done(capsys, "--to", "safetensors", out, "--layout", "original", "--out", tmp_path / "back")
    same(open_tensors(tmp_path / "back"), checkpoint[1])


def test_what_differs_is_told(tmp_path, capsys, params):
    tensors = theirs(wan.table(SIZES), params)
    del tensors["proj_out.bias"]
    tensors["blocks.0.ffn.net.2.bias"] = np.zeros(3, np.float32)
    tensors["more"] = np.zeros(2, np.float32)
    path = written(tmp_path / "a.safetensors", tensors)
    assert main(["convert", "--from", "tiny", str(path), "--verify"]) == 2
    out = capsys.readouterr().out
    for words in (
        "missing       proj_out.bias",
        "unexpected    more",
        "wrong shape   blocks.0.ffn.net.2.bias  (3,) in the file, (16,) expected",
        "blocks.{layer}.attn1.to_q.weight  2/2  float32[16, 16]",
    ):
        assert words in out, out


def test_a_conversion_that_was_changed_is_told(tmp_path, capsys, checkpoint):
    out = tmp_path / "ours"
    done(capsys, "--from", "tiny", checkpoint[0], "--out", out)
    file = next(out.glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    command = ["--from", "tiny", checkpoint[0], "--verify", "--out", out]
    refused(capsys, command, "not what was expected")


def test_licences(tmp_path, capsys, checkpoint):
    told = done(capsys, "--list")
    assert any(line.startswith("wan2.2-ti2v-5b") for line in told["families"])
    command = ["--from", "bound", checkpoint[0], "--out", tmp_path / "x"]
    refused(capsys, command, "CC BY-NC-SA 4.0", "--accept-licence")
    assert not (tmp_path / "x").exists()
    told = done(capsys, *command, "--accept-licence")
    assert told["licence"].startswith("CC BY-NC-SA 4.0")
    request = json.loads((tmp_path / "x" / "conversion.json").read_text())
    assert request["licence"]["name"] == "CC BY-NC-SA 4.0"


def test_a_trained_run_is_exported_to_the_bit(tmp_path, capsys):
    go(run(save_every=4, steps=4), tmp_path / "run")
    capsys.readouterr()
    done(capsys, "--to", "safetensors", tmp_path / "run", "--out", tmp_path / "out")
    weights = load_for_inference(tmp_path / "run")[2]
    want = {k: np.asarray(x) for k, x in leaves_by_path(weights).items()}
    same(open_tensors(tmp_path / "out"), want)
    assert (tmp_path / "out" / "statistics.json").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["--list"]),
        (["--list", "--to", "safetensors"], ["one of"]),
        (["--from", "none", "x", "--out", "y"], ["no family 'none'", "wan2.2-ti2v-5b"]),
        (["--from", "tiny", "absent", "--out", "y"], ["absent does not exist"]),
        (["--from", "tiny", "absent"], ["--out"]),
        (["--to", "safetensors", "--out", "y"], ["which workdir"]),
        (["--to", "safetensors", ".", "--out", "y"], ["neither a workdir"]),
        (["--from", "tiny", ".", "--out", "y"], ["no safetensors files"]),
    ],
)
def test_bad_words_are_refused(tmp_path, monkeypatch, capsys, argv, words):
    monkeypatch.chdir(tmp_path)
    refused(capsys, argv, *words)
    assert not [*tmp_path.iterdir()]
