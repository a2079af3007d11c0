"""`wamjax bench rollout`: what it prints, and what it refuses."""

import contextlib
import functools
import io
import json

import pytest

from wamjax.cli import bench_rollout
from wamjax.cli.main import main
from wamjax.eval import bench
from wamjax.sim.render import opengl

SIZES = ["--size=16", "--worlds=8", "--horizon=5", "--policy=16x1", "--repeats=2"]
SMALL = ["bench", "rollout", "--task=stack", *SIZES]


@pytest.fixture(scope="module")
def found():
    """The JSON and the text of one small run; programs may come from the compile cache."""
    library = opengl.backend()
    if library is None:
        pytest.skip(opengl.MISSING)
    kept = []

    def keeping(*arguments, **options):
        kept.append(bench.measure(*arguments, cached=True, **options))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_rollout, "without_compile_cache", contextlib.nullcontext)
        patch.setattr(bench_rollout, "measure", keeping)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main([*SMALL, "--against", "loop", "--json"]) == 0
    result = json.loads(out.getvalue())
    return result, bench_rollout.as_text(result | kept[0])


@pytest.mark.slow
def test_speeds_parts_and_ratio(found):
    result, _ = found
    assert set(result["speeds"]) == {"c", "loop", "loop without shadows"}
    for speed in result["speeds"].values():
        rate, steps = speed["episodes"], speed["steps"]
        assert 0 < rate["least"] <= rate["median"] <= rate["most"]
        assert steps["median"] == pytest.approx(5 * rate["median"])
        parts = sum(seconds for part, seconds in speed["seconds"].items() if part != "all")
        assert parts == pytest.approx(speed["seconds"]["all"], rel=0.5)
        assert speed["compile_seconds"] > 0
    assert result["speeds"]["loop"]["ratio"] == {"median": 1.0, "least": 1.0, "most": 1.0}
    assert result["speeds"]["c"]["ratio"]["median"] > 0
    assert result["perturbed"]["c"]["median"] > 0
    assert result["plans"] == 2
    assert set(result["parts"]["loop"]) == {"physics_steps", "pictures", "plans"}


@pytest.mark.slow
def test_outputs_were_compared(found):
    check = found[0]["checks"]["c"]
    assert check["worlds"] == check["same_success"] == 8
    assert check["position"] < 1e-4
    assert check["pictures_last"] < bench.MOST_PICTURE_DIFFERENCE


@pytest.mark.slow
def test_bounds_say_what_a_device_could_do(found):
    bounds = found[0]["bounds"]
    own, stated = bounds["own"], bounds["stated"]
    assert own["operations"]["physics"] == stated["operations"]["physics"] > 1e6
    assert stated["operations"]["policy"] > own["operations"]["policy"] > 0
    assert len(stated["devices"]) == 2
    for device in stated["devices"].values():
        assert device["seconds_for_all"] == pytest.approx(10_000 / device["episodes_per_second"])


@pytest.mark.slow
def test_the_text_names_device_ratio_and_load(found):
    _, text = found
    for words in ("load", "over the loop", "one program, c", "physics steps", "H200", "checked"):
        assert words in text


def test_wrong_outputs_are_not_timed():
    good = bench.Check(
        expert_successes=4,
        same_success=8,
        worlds=8,
        position=1e-6,
        furthest=1e-3,
        pictures_first=2.0,
        pictures_last=2.0,
        actions=0.1,
    )
    bench.refuse_wrong(good, "c")
    for change in ({"same_success": 7}, {"position": 0.1}, {"pictures_last": 20.0}):
        with pytest.raises(RuntimeError, match="differ"):
            bench.refuse_wrong(good.__class__(**{**vars(good), **change}), "c")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--task juggle", ["juggle", "stack"]),
        ("--size 8", ["--size", "from 16", "8"]),
        ("--size 40", ["--size", "multiple of 16", "40"]),
        ("--cameras behind", ["--cameras", "behind", "primary"]),
        ("--cameras none", ["--cameras", "no camera"]),
        ("--worlds 0", ["--worlds", "from 1", "0"]),
        ("--horizon 0", ["--horizon", "0"]),
        ("--repeats 0", ["--repeats", "0"]),
        ("--policy large", ["--policy", "48x2", "large"]),
        ("--policy 20x2", ["--policy", "steps of 8", "20x2"]),
        ("--policy 48x0", ["--policy", "depth", "48x0"]),
        ("--physics c,bullet", ["--physics", "bullet", "mjx"]),
        ("--workdir nowhere", ["nowhere"]),
    ],
)
def test_bad_input_is_refused_in_one_sentence(words, parts, capsys):
    assert main(["bench", "rollout", *words.split()]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    for part in ("wamjax bench:", *parts):
        assert part in error


def test_opengl_that_is_not_there_is_refused_before_any_work(monkeypatch, capsys):
    monkeypatch.setattr(opengl, "backend", lambda: None)
    monkeypatch.setattr(bench_rollout, "measure", functools.partial(pytest.fail, "work was done"))
    assert main([*SMALL, "--against", "loop"]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert "apt-get install libegl1" in error


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "rollout", "--help"])
    assert stop.value.code == 0
    assert "wamjax bench rollout --task stack" in capsys.readouterr().out
