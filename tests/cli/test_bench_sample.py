"""`wamjax bench sample`: what it prints and writes, and what it refuses."""

import contextlib
import io
import json

import pytest

from wamjax.cli.bench_sample import forms_of
from wamjax.cli.main import main
from wamjax.recipes.registry import RECIPES

WORDS = ["bench", "sample", "--recipe=pi0", "--repeats=2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(JSON, text, page) of one run."""
    where = tmp_path_factory.mktemp("bench")
    page, file = where / "sample.md", where / "sample.json"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([*WORDS, f"--page={page}", f"--json={file}"]) == 0
    return json.loads(file.read_text()), out.getvalue(), page.read_text()


def test_a_recipe_is_timed_and_its_full_size_counted(made):
    tiny, full = made[0]["rows"]
    assert 0 < tiny["own_bound_ms"] <= tiny["p50_ms"] <= tiny["p95_ms"]
    # Published: after five actions the next chunk is predicted.
    assert (tiny["executed"], tiny["actions"]) == (full["executed"], 8) == (5, 8)
    assert tiny["per_action_ms"] == pytest.approx(tiny["p50_ms"] / 5)
    assert tiny["forward_passes"] == full["forward_passes"] == 11
    assert (tiny["dtype"], full["dtype"]) == ("float32", "bfloat16")
    assert full["parameters"] == pytest.approx(3.24e9, rel=0.01)
    assert "counted" in full["not_timed"]
    assert "p50_ms" not in full
    # The weights, word table aside, are read by the prefill or by each of the ten steps.
    assert full["weight_bytes"] > 2 * (full["parameters"] - 257_152 * 2048)
    assert full["bounds_ms"]["NVIDIA H200"] < full["bounds_ms"]["NVIDIA H100 SXM"]


def test_text_and_page_say_what_is_a_bound(made):
    _, text, page = made
    assert "a bound, not a measurement" in text
    assert "pi0" in text
    assert "| `pi0` | tiny |" in page
    assert "| 5 / 8 |" in page
    assert "executes before it predicts the next chunk" in text
    assert "NVIDIA H200, at least ms" in page
    assert "Full sizes: a bound, not a measurement" in page


@pytest.mark.slow
def test_steps_and_json_on_the_screen(capsys):
    assert main([*WORDS, "--steps=2", "--dtype=bfloat16", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["forward_passes"] == 3
    assert row["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--recipe nothing", ["nothing", "does not exist"]),
        ("--recipe pi0 --form joint", ["--form", "joint"]),
        ("--recipe all --form joint", ["--form", "one recipe"]),
        ("--recipe pi0 --batch 0", ["--batch", "from 1"]),
        ("--recipe pi0 --repeats 0", ["--repeats", "from 1"]),
        ("--recipe pi0 --steps 0", ["--steps", "from 1"]),
        ("--recipe pi0 --candidates 0", ["--candidates", "from 1"]),
        ("--recipe pi0 --candidates 2", ["--candidates 2", "such as cosmos_policy"]),
        ("--recipe all --candidates 2", ["--candidates 2", "one recipe"]),
        ("--recipe cosmos_policy --form value --candidates 2", ["in form policy", "--form"]),
        ("--recipe pi0 --json /nowhere/at/all.json", ["--json", "/nowhere/at/all.json"]),
        ("--recipe pi0 --page /nowhere/at/all.md", ["--page", "/nowhere/at/all.md"]),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words, parts, capsys):
    assert main(["bench", "sample", *words.split()]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert all(part in said for part in parts)


def test_a_plan_is_counted_with_all_its_passes(capsys):
    words = ["bench", "sample", "--recipe=cosmos_policy", "--size=full", "--json"]
    rows = []
    for more in ("--candidates=8", "--candidates=1"):
        assert main([*words, more]) == 0
        rows += json.loads(capsys.readouterr().out)["rows"]
    planned, plain = rows
    assert (planned["candidates"], plain["candidates"]) == (8, 1)
    assert (planned["forward_passes"], plain["forward_passes"]) == (32, 6)
    # 8 sequences of 5 steps, 24 of 5 and 24 of 1 + 2 + 3 + 4 + 5, beside one of 5.
    assert planned["flops"] == pytest.approx(104 * plain["flops"], rel=0.03)


def test_all_recipes_come_in_the_forms_that_cost_something_else():
    forms = {name: forms_of(name) for name in RECIPES}
    assert all(own[0] is None for own in forms.values())
    assert forms["lingbot_va"] == [None, "paper", "async", "deployed", "real_robot"]
    # One network and one program, trained otherwise; and the forms that answer no actions.
    assert forms["fast_wam"] == [None, "joint", "idm", "release", "robotwin"]
    assert forms["pi0"] == [None]
    assert "world_model" not in forms["motus"]


@pytest.mark.parametrize("words", ["--recipe pi0 --size small", "--recipe pi0 --dtype int8", ""])
def test_unknown_words_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "sample", *words.split()])
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "sample", "--help"])
    assert stop.value.code == 0
    assert "wamjax bench sample --recipe all --page" in capsys.readouterr().out
