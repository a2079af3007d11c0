"""`wamjax bench sample`: what it prints and writes, and what it refuses."""

import contextlib
import io
import json

import pytest

from wamjax.cli.main import main


def test_a_recipe_is_timed_and_its_full_size_counted(tmp_path):
    page = tmp_path / "sample.md"
    words = ["bench", "sample", "--recipe=pi0", "--repeats=2", "--json", f"--page={page}"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(words) == 0
    tiny, full = json.loads(out.getvalue())["rows"]
    assert tiny["p50"] <= tiny["p95"]
    assert tiny["per_action"] == pytest.approx(tiny["p50"] / 8)
    assert tiny["p50"] >= tiny["own_bound"]
    assert tiny["forward_passes"] == full["forward_passes"] == 11
    assert full["parameters"] == pytest.approx(3.24e9, rel=0.01)
    assert "p50" not in full
    # The weights, word table aside, are read by the prefill or by each of the ten steps.
    assert full["bytes"] > 2 * (full["parameters"] - 257_152 * 2048)
    text = page.read_text()
    assert "| `pi0` | tiny |" in text
    assert "NVIDIA H200, ms" in text


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--recipe nothing", ["nothing", "does not exist"]),
        ("--recipe pi0 --form joint", ["--form", "joint"]),
        ("--recipe all --form joint", ["--form", "one recipe"]),
        ("--recipe pi0 --batch 0", ["--batch", "at least 1"]),
        ("--recipe pi0 --repeats 0", ["--repeats", "at least 1"]),
        ("--recipe pi0 --steps 0", ["--steps", "at least 1"]),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words, parts, capsys):
    assert main(["bench", "sample", *words.split()]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts)
    assert "Traceback" not in said
