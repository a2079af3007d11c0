"""`wamjax bench train`: what it times, counts and refuses."""

import contextlib
import io
import json

import numpy as np
import pytest

from tests.cli.made_data import make
from wamjax.cli.main import main
from wamjax.eval.plan.case import case_of_recipe
from wamjax.eval.step_time import random_batch
from wamjax.recipes.registry import find_recipe


def said(words) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["bench", "train", *words]) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(JSON, text, page) of a recipe's step."""
    where = tmp_path_factory.mktemp("bench")
    page, file = where / "train.md", where / "train.json"
    words = ["--recipe=pi0", "--repeats=3", "--remat=full", f"--page={page}", f"--json={file}"]
    text = said(words)
    return json.loads(file.read_text()), text, page.read_text()


@pytest.mark.slow
def test_a_step_of_a_recipe_is_timed_and_counted(made):
    (row,) = made[0]["rows"]
    assert 0 < row["p50_ms"] <= row["p95_ms"]
    assert row["data_wait_share"] is None
    assert row["rows"] == 4 * made[0]["devices"]
    assert row["examples_per_second"] == pytest.approx(1e3 * row["rows"] / row["p50_ms"])
    # What is made anew is no work of the model.
    assert row["flops"]["done"] > 1.2 * row["flops"]["model"]
    assert row["hfu"] / row["mfu"] == pytest.approx(row["flops"]["done"] / row["flops"]["model"])
    assert row["mfu"] * made[0]["peak"]["flops"] * row["p50_ms"] / 1e3 == pytest.approx(
        row["flops"]["model"]
    )
    # float32 weights, their average and AdamW's two moments, a device's share of them.
    memory, share = row["memory"], row["mesh"]["fsdp"]
    assert 4 * row["parameters"] / share <= memory["weights"] < 4 * row["parameters"]
    assert memory["average"] == memory["weights"]
    assert memory["optimizer"] == pytest.approx(2 * memory["weights"], abs=64)
    assert row["memory"]["temporary"] > 0


@pytest.mark.slow
def test_text_and_page_tell_the_same(made):
    (row,), text, page = made[0]["rows"], made[1], made[2]
    assert row["attention"] == {"main": "xla", "vision": "xla"}
    assert "attention   xla in main, xla in vision" in text
    for told in (f"{row['parameters']:,}", f"{row['rows']} "):
        assert told in text
        assert told in page
    assert f"bound by {row['bound']}" in text or "state" in text
    assert "| `pi0` |" in page
    assert "--recipe all --page docs/results/train_step.md" in page


@pytest.mark.slow
@pytest.mark.parametrize("random", [True, False])
def test_a_config_is_timed_on_its_data_or_without(random, tmp_path):
    directory, config = make(tmp_path)
    words = [f"--config={config}", "--repeats=4", "--batch=8", "--json", *(["--random"] * random)]
    words.append(f"--config.data.dir={'nowhere' if random else directory}")
    (row,) = json.loads(said(words))["rows"]
    assert (row["name"], row["rows"], row["repeats"]) == ("small", 8, 4)
    if random:
        assert row["data_wait_share"] is None
    else:
        assert 0 <= row["data_wait_share"] < 1


def test_a_random_batch_is_what_a_step_takes():
    case = case_of_recipe(find_recipe("pi0"), 3, size="tiny", dtype="float32")
    batch = random_batch(case.batch)
    assert batch.real.all()
    assert all(np.isfinite(value).all() for value in batch.values)
    assert {len(value) for value in batch.values} == {3}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("", ["--config", "--recipe"]),
        ("--recipe pi0 --config x.py", ["--config", "--recipe"]),
        ("--config nothing.py", ["nothing.py", "does not exist"]),
        ("--recipe nothing", ["nothing", "does not exist"]),
        ("--recipe pi0 --form joint", ["--form", "joint"]),
        ("--recipe all --form joint", ["--form", "one recipe"]),
        ("--recipe pi0 --batch 0", ["--batch", "from 1"]),
        ("--recipe pi0 --repeats 0", ["--repeats", "from 1"]),
        ("--recipe pi0 --random", ["--random", "--config"]),
        ("--recipe pi0 --config.train.steps=3", ["--config.train.steps", "needs --config"]),
        ("--config x.py --remat full", ["--remat", "--recipe"]),
        ("--recipe pi0 --json /nowhere/at/all.json", ["--json", "/nowhere/at/all.json"]),
        ("--recipe pi0 --page /nowhere/at/all.md", ["--page", "/nowhere/at/all.md"]),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(words, parts, capsys):
    assert main(["bench", "train", *words.split()]) == 2
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert all(part in told for part in parts)
