"""Plans: what stands in memory, counted and compiled, and what is refused."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys

import pytest

from wamjax.cli.main import main
from wamjax.cli.plan_text import as_text
from wamjax.eval.plan.bounds import REACHED, bounds
from wamjax.eval.plan.case import case_of_recipe
from wamjax.eval.plan.chips import GIB, slice_of
from wamjax.eval.plan.report import planned
from wamjax.parallel.mesh import MeshConfig
from wamjax.recipes.registry import RECIPES

HERE = importlib.util.find_spec("libtpu") is not None


def test_what_stands_between_steps_is_sixteen_bytes_a_weight():
    case = case_of_recipe(RECIPES["fast_wam"], 32)
    report = planned(case, slice_of("v5p:2x2x2"), MeshConfig(data=1, fsdp=8), compiler=False)
    assert report.parameters == 6_020_684_999
    state = sum(report.memory[part] for part in ("weights", "average", "optimizer"))
    # Weights, average and two moments in float32; what is too small to split is whole everywhere.
    assert state == pytest.approx(16 * report.parameters / 8, rel=5e-3)
    assert report.fits is None
    assert report.flops["done"] == pytest.approx(4 / 3 * report.flops["counted"], rel=0.02)


def test_what_was_not_compiled_is_not_told_as_nothing():
    case = case_of_recipe(RECIPES["uwm"], 8, size="tiny")
    report = planned(case, slice_of("v6e-8"), MeshConfig(data=1, fsdp=8), compiler=False)
    told = [line.split() for line in as_text(report).splitlines() if "slice" in line][-2:]
    assert [line[-2:] for line in told] == [["not", "counted"], ["not", "counted"]]


def test_a_plan_without_remat_does_the_work_of_the_model_alone():
    case = case_of_recipe(RECIPES["pi0"], 8, remat="none")
    report = planned(case, slice_of("H200:8"), MeshConfig(data=1, fsdp=8), compiler=False)
    assert report.flops["done"] == pytest.approx(report.flops["counted"], rel=0.01)
    assert report.mfu[0] < report.mfu[1] <= 1.0


def test_the_bounds_are_those_of_the_data_sheet():
    part = slice_of("v5p:2x2x1")
    found = bounds(part, flops=4 * 459e12, moved=2.765e12, links=0.25, network=0.5)
    assert (found.products, found.memory, found.links, found.network) == (1.0, 1.0, 0.25, 0.5)
    assert found.best == 1.0
    assert found.worst == pytest.approx(1 / REACHED + 1.75)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--topology", "v5p-8"], "either --config FILE or --recipe NAME"),
        (["--topology", "v5p-8", "--recipe", "fast_wam", "--config", "x.py"], "either --config"),
        (["--topology", "nothing", "--recipe", "fast_wam"], "is no slice"),
        (["--topology", "v5p-8", "--recipe", "fast"], "does not exist; known recipes"),
        (["--topology", "v5p-8", "--recipe", "fast_wam", "--batch", "0"], "--batch must be at"),
        (["--topology", "v5p-8", "--recipe", "fast_wam", "--tensor", "3"], "does not divide the 4"),
        (["--topology", "v5p-8", "--recipe", "fast_wam", "--batch", "6", "--analytic"], "of 6"),
        (["--topology", "H200:8", "--recipe", "fast_wam"], "count alone with --analytic"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(words: list[str], text: str, capsys):
    assert main(["plan", *words]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "wamjax plan: " in line]
    assert len(told) == 1
    assert text in told[0]


def test_a_report_is_kept_and_read_again(capsys):
    words = ["plan", "--recipe", "uwm", "--size", "tiny", "--topology", "H200:2", "--analytic"]
    assert main([*words, "--json"]) == 0
    first = capsys.readouterr()
    assert "1/1 programs" in first.err
    assert main([*words, "--json"]) == 0
    second = capsys.readouterr()
    assert "programs" not in second.err
    assert json.loads(first.out) == json.loads(second.out)


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="libtpu is not installed (the tpu-plan extra)")
def test_a_step_is_compiled_for_a_slice_that_is_not_here():
    case = case_of_recipe(RECIPES["fast_wam"], 8, size="tiny")
    report = planned(case, slice_of("v5e-4"), MeshConfig(data=1, fsdp=4), quick=True)
    assert report.fits
    assert {one["axes"] for one in report.sent} == {("fsdp",)}
    assert report.memory["total"] < GIB
    assert "fits: " in as_text(report)


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="libtpu is not installed (the tpu-plan extra)")
def test_two_slices_speak_over_the_network():
    case = case_of_recipe(RECIPES["uwm"], 16, size="tiny")
    mesh = MeshConfig(data=1, fsdp=4, across_data=2)
    report = planned(case, slice_of("v5e-4", 2), mesh, quick=True)
    assert report.seconds["network"] > 0
    assert {one["axes"] for one in report.sent if one["network"]} == {("data",)}
    assert "of slices" in as_text(report)


@pytest.mark.skipif(HERE, reason="libtpu is installed")
def test_without_the_compiler_one_sentence_says_what_to_install():
    words = ["plan", "--recipe", "uwm", "--size", "tiny", "--topology", "v5e-4"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-m", "wamjax", *words], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2
    assert "pip install 'wamjax[tpu-plan]'" in done.stderr.splitlines()[-1]


def test_a_report_is_plain_values():
    case = case_of_recipe(RECIPES["uwm"], 8, size="tiny")
    report = planned(case, slice_of("v6e-8"), MeshConfig(data=1, fsdp=8), compiler=False)
    assert json.loads(json.dumps(dataclasses.asdict(report)))["slice"] == "v6e:2x4"
