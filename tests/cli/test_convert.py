"""`wamjax convert`: there and back to the bit, and every refusal in a sentence."""

import dataclasses
import functools
import json

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.pretrained import zip_files
from tests.pretrained.test_readers import same, written
from tests.train.test_loop import go, run
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained import openpi, wan
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.family import Family
from wamjax.pretrained.minilm import installed_minilm
from wamjax.pretrained.moves import their_shapes, theirs
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.openpi_sizes import Sizes, Tower
from wamjax.pretrained.originals import ORIGINALS
from wamjax.pretrained.originals.video import wan_original
from wamjax.train.checkpoint import load_for_inference

SIZES = wan.Sizes(heads=2, head_dim=8, depth=2, mlp=12, text=6, channels=3)


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), wan.target(SIZES))


OPENPI = Sizes(
    vision=Tower(width=4, mlp=5, depth=2, heads=2, head_dim=2),
    width=6,
    mlp=8,
    action_width=4,
    action_mlp=6,
    depth=2,
    heads=2,
    head_dim=6,
    patch=2,
    patches=4,
    vocabulary=7,
    action=3,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch, params):
    family = Family(
        name="pi",
        about="for tests",
        licence="openpi",
        layouts={"openpi": functools.partial(openpi.table, OPENPI, "pi0")},
        target=functools.partial(openpi.target, OPENPI, "pi0"),
    )
    monkeypatch.setitem(FAMILIES, "pi", family)
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


def test_the_original_runs_beside_ours(tmp_path, capsys, monkeypatch, checkpoint):
    pytest.importorskip("torch", reason="the extra `reference` brings it")
    pytest.importorskip("diffusers", reason="the extra `reference` brings it")
    own = wan_original(SIZES)
    monkeypatch.setitem(ORIGINALS, "tiny", own)
    command = ("--from", "tiny", checkpoint[0], "--verify")
    told = done(capsys, *command)
    assert told["original"].startswith("WanTransformer3DModel of diffusers 0.")
    assert told["apart"][0].startswith("transformer: ")
    assert told["equal"] == "yes, 1e-03 is allowed"
    assert "original" not in done(capsys, *command, "--no-original")
    # An implementation that makes other numbers is an error, with what it made.
    other = dataclasses.replace(
        own, ours=lambda *given: {k: 1.1 * x for k, x in own.ours(*given).items()}
    )
    monkeypatch.setitem(ORIGINALS, "tiny", other)
    assert main(["convert", *map(str, command)]) == 2
    said = capsys.readouterr()
    assert "no, 1e-03 is allowed" in said.out
    assert "not what was expected" in said.err
    refused(capsys, [*command[:3], "--no-original", "--out", tmp_path / "x"], "--verify")
    assert not (tmp_path / "x").exists()
    told = done(capsys, "--from", "bound", checkpoint[0], "--verify", "--accept-licence")
    assert told["original"] == "not run: it is of no package that installs beside wamjax"


@pytest.mark.slow
def test_published_weights_beside_their_original(capsys):
    pytest.importorskip("transformers", reason="the extra `reference` brings it")
    try:
        folder = installed_minilm().folder
    except UserError as error:
        pytest.skip(str(error))
    told = done(capsys, "--from", "minilm", folder, "--verify")
    assert told["original"].startswith("BertModel of transformers")
    assert told["equal"].startswith("yes")


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


@pytest.mark.parametrize("wrap", [False, True])
def test_openpis_trees_come_back_as_they_were(tmp_path, capsys, wrap):
    """With `value` at the end of paths, as training leaves them, and without."""
    rng = np.random.default_rng(0)
    table, target = openpi.table(OPENPI, "pi0"), openpi.target(OPENPI, "pi0")
    tensors = {
        name: rng.normal(size=x.shape).astype(jnp.bfloat16)
        for name, x in their_shapes(table, target).items()
    }
    named = {f"params/{name}{'/value' if wrap else ''}": x for name, x in tensors.items()}
    tree = flax.traverse_util.unflatten_dict(named, sep="/")
    ocp.PyTreeCheckpointer().save(tmp_path / "ckpt" / "params", tree)
    ckpt, made, back = (tmp_path / name for name in ("ckpt", "made", "back"))
    told = done(capsys, "--from", "pi", ckpt, "--out", made)
    assert told["converted"] == "pi (openpi names)"
    told = done(capsys, "--from", "pi", ckpt, "--verify", "--out", made)
    assert told["verdict"].startswith(f"all {len(tensors)} tensors are used once; 0 of them differ")
    told = done(capsys, "--to", "openpi", made, "--out", back)
    assert told["tensors"] == len(tensors)
    same(open_tensors(back), tensors)
    whole = ocp.PyTreeCheckpointer().restore(back / "params")
    assert {*whole} == {"params"}
    done(capsys, "--to", "openpi", made, "--out", back)
    done(capsys, "--to", "safetensors", made, "--out", tmp_path / "flat")
    same(open_tensors(tmp_path / "flat"), tensors)
    refused(capsys, ["--to", "openpi", made, "--out", made], "belongs to another conversion")


def test_only_openpis_are_written_for_openpi(tmp_path, capsys, checkpoint):
    done(capsys, "--from", "tiny", checkpoint[0], "--out", tmp_path / "ours")
    words = ["tiny has no names for openpi", "--to safetensors"]
    refused(capsys, ["--to", "openpi", tmp_path / "ours", "--out", tmp_path / "x"], *words)
    refused(capsys, ["--to", "openpi", tmp_path, "--out", tmp_path / "x"], "converted from openpi")


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
