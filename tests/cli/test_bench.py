"""`wamjax bench`: what it prints, and what it refuses."""

import contextlib
import io
import json

import pytest

from wamjax.cli.main import main
from wamjax.sim.render import bench, opengl

SMALL = ["bench", "render", "--size=16", "--worlds=2,1", "--geoms=5", "--cameras=1", "--shadows=1"]


@pytest.fixture(scope="module")
def printed():
    """The JSON of one small run."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([*SMALL, "--repeats", "2", "--json"]) == 0
    return json.loads(out.getvalue())


@pytest.mark.slow
def test_cases_times_and_ceilings(printed):
    base, single = printed["cases"]
    assert (base["size"], base["worlds"], base["geoms"], base["shadows"]) == (16, 2, 5, True)
    assert single["worlds"] == 1
    for case in printed["cases"]:
        assert case["fastest"] <= case["milliseconds"] <= case["slowest"]
        assert case["frames_per_second"] == pytest.approx(1e3 / case["milliseconds"])
        assert case["compile_seconds"] > 0
        assert case["agreement"] >= 0.995
    roofline = printed["roofline"]
    assert set(roofline["per_ray"]) == {
        "plane",
        "box",
        "sphere",
        "capsule",
        "cylinder",
        "ellipsoid",
    }
    names = [ceiling["name"] for ceiling in roofline["ceilings"]]
    assert any("H200" in name for name in names)
    assert any("assumption" in name for name in names if "TPU" in name)
    own = roofline["ceilings"][0]
    assert base["frames_per_second"] < own["most_frames_per_second"]
    assert printed["opengl"] is None


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--size 0", ["--size", "from 16", "0"]),
        ("--size large", ["--size", "whole numbers", "large"]),
        ("--worlds 16,0", ["--worlds", "0"]),
        ("--geoms 2", ["--geoms", "from 3"]),
        ("--cameras -1", ["--cameras", "-1"]),
        ("--shadows 2", ["--shadows", "0 to 1"]),
        ("--repeats 0", ["--repeats", "at least 1"]),
    ],
)
def test_bad_numbers_are_refused_in_one_sentence(words, parts, capsys):
    assert main(["bench", "render", *words.replace(" -1", "=-1").split()]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    for part in ("wamjax bench:", *parts):
        assert part in error


def test_opengl_that_is_not_there_is_refused_before_any_work(monkeypatch, capsys):
    monkeypatch.setattr(opengl, "backend", lambda: None)
    assert main([*SMALL, "--against", "opengl"]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert "apt-get install libegl1" in error


@pytest.mark.parametrize("words", ["", "swim", "render --wings", "render --against vulkan"])
def test_unknown_words_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *words.split()])
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", ["bench --help", "bench render --help"])
def test_help_has_an_example(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 0
    assert "wamjax bench render" in capsys.readouterr().out


def test_wrong_pictures_are_not_timed(monkeypatch):
    monkeypatch.setattr(bench, "agreement", lambda *_: 0.9)
    with pytest.raises(RuntimeError, match="wrong picture"):
        bench.measure([bench.Case(16, 1, 5, 1, shadows=False)], 1)
