"""Keys by name, texts as bytes, trees by path, whole files, progress lines."""

import io
import json

import jax
import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.keys import named_keys
from wamjax.core.progress import Progress, seconds
from wamjax.core.text import decode_text, encode_text
from wamjax.core.tree import count_parameters, leaves_by_path, weights_sha256


def test_a_new_draw_does_not_change_the_others():
    key = jax.random.key(0)
    few, more = named_keys(key, "noise"), named_keys(key, "sigma", "noise", "drop")
    assert (jax.random.key_data(few["noise"]) == jax.random.key_data(more["noise"])).all()
    with pytest.raises(ValueError, match="must differ"):
        named_keys(key, "noise", "noise")


@pytest.mark.parametrize("text", ["", "reach the red cube", "grün ist würfel", "立方体"])
def test_text_survives(text):
    assert decode_text(encode_text(text, 64)) == text


def test_a_long_text_is_cut_at_a_whole_character():
    assert decode_text(encode_text("aé", 2)) == "a"
    assert encode_text("x" * 99, 8).shape == (8,)


def test_the_hash_sees_values_names_and_types():
    tree = {"b": np.ones(3, np.float32), "a": {"c": np.zeros((2, 2), np.float32)}}
    assert list(leaves_by_path(tree)) == ["a/c", "b"]
    assert count_parameters(tree) == 7
    same = {"a": {"c": np.zeros((2, 2), np.float32)}, "b": np.ones(3, np.float32)}
    assert weights_sha256(tree) == weights_sha256(same)
    for other in (
        {**tree, "b": np.full(3, np.nextafter(np.float32(1), np.float32(2)))},
        {**tree, "b": np.ones(3, np.float64)},
        {"a": tree["a"], "d": tree["b"]},
    ):
        assert weights_sha256(tree) != weights_sha256(other)


def test_a_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"x": float("nan")})
    assert read_json(path) == {"x": 1}
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]
    path.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(path)
    with pytest.raises(UserError, match="does not exist"):
        read_json(tmp_path / "none.json")


def test_progress_in_a_log_says_rate_and_eta():
    out = io.StringIO()
    with Progress("train", 4, "steps", every=0.0, stream=out) as progress:
        for _ in range(4):
            progress.advance(note="loss 1")
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("train: 1/4 steps, ")
    assert "ETA" in lines[0]
    assert lines[0].endswith("loss 1")
    assert lines[-1].startswith("train: 4/4 steps in")
    assert [seconds(value) for value in (7.2, 200, 7500)] == ["7 s", "3 min 20 s", "2 h 05 min"]
    assert json.dumps(lines)
