"""The pages: every rate is on them, nothing on them comes from elsewhere."""

import base64
import html
import io
import re

import jax
import jinja2
import numpy as np
import pytest
from PIL import Image

from tests.eval.page_laws import loads_nothing, unique_ids
from tests.eval.point_world import HORIZON, POLICY, WEIGHTS, worlds
from wamjax.eval import figures, wording
from wamjax.eval.gallery import comparable, film, spread_failures
from wamjax.eval.pictures import data_uri
from wamjax.eval.report import page, where, write_report
from wamjax.eval.rollout import rollout
from wamjax.eval.sample_report import Sample, write_sample_report
from wamjax.eval.tally import comparisons, summary
from wamjax.eval.worlds import AXES, BONUS, CLEAN

RNG = np.random.default_rng(0)
METRICS = [
    {"step": 10 * n, "loss/video": 2.0 / (n + 1), "loss/action": 1.0 / (n + 1), "grad_norm": 1.0}
    for n in range(60)
] + [{"step": 600, "eval/success": 0.5}]


def made_up():
    chances = {"trained": 0.7, "random": 0.1, "still": 0.0}
    episodes = {
        name: {
            task: [
                {
                    "axis": axis,
                    "seed": seed,
                    "success": bool(RNG.random() < chance),
                    "mode": f"way {seed % 2}",
                    "diverged": seed == 3,
                    **({} if axis == CLEAN else {"severity": 1 + seed % 5, "sub_axis": "some"}),
                }
                for axis in (CLEAN, *AXES, *BONUS)
                for seed in range(37)
            ]
            for task in ("reach", "push")
        }
        for name, chance in chances.items()
    }
    return {
        "policies": {
            name: {task: summary(rows) for task, rows in tasks.items()}
            for name, tasks in episodes.items()
        },
        "comparisons": comparisons(episodes, "trained"),
        "manifest_sha256": "0123abcd" * 8,
        "seed": 424242,
        "device": "cpu, 2 cores, <a processor>",
        "versions": {"jax": "0.9.2", "flax": "0.12.6"},
        "parameters": 268431,
        "train_seconds": 312.4,
        "train_flops": 4.21e13,
        "ms_per_chunk": 6.4321,
        "ms_per_chunk_p95": 8.1,
        "env_steps_per_second": 2143.0,
    }


@pytest.fixture(scope="module")
def gallery():
    place = worlds(3)
    runner = rollout(POLICY, place.env, HORIZON, weights=WEIGHTS, variants=place.variants, batch=16)
    outcome = runner(WEIGHTS, place.variants, jax.random.key(1))
    return film(
        "reach",
        place,
        POLICY,
        WEIGHTS,
        runner=runner,
        episodes=[{"success": bool(success)} for success in outcome.success],
        seed=1,
        size=16,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory, gallery):
    results = made_up()
    path = write_report(
        tmp_path_factory.mktemp("report") / "report.html",
        results,
        title="a <test>",
        command="wamjax eval --workdir runs/x",
        metrics=METRICS,
        phases={"demonstrations": 141.0, "training": 312.4},
        galleries=[gallery],
    )
    return results, path.read_text(encoding="utf-8")


def test_the_report_shows_every_axis_at_every_severity(report):
    results, text = report
    for table in results["policies"]["trained"].values():
        for cells in (*table["severities"].values(), table["by_severity"]):
            assert list(cells) == ["1", "2", "3", "4", "5"]
            for cell in cells.values():
                assert f"{cell['successes']} / {cell['episodes']}" in html.unescape(text)
    assert text.count("success against severity") == 2
    assert "way 1" in text
    assert "In 27 episodes the physics diverged" in text


def test_the_report_holds_every_count_rate_and_interval(report):
    results, text = report
    plain = html.unescape(text)
    for tasks in results["policies"].values():
        for table in tasks.values():
            for cell in (table["clean"], *table["axes"].values()):
                assert f"{cell['successes']} / {cell['episodes']}" in plain
                assert wording.percent(cell["rate"], cell["episodes"]) in plain
                assert wording.interval(cell) in plain
            for mean in ("mean_with_clean", "mean_without_clean"):
                assert f"{100 * table[mean]:.1f}" in plain
    for fact in ("424242", "0123abcd" * 8, "268,431", "6.4 ms", "42.1 T", "5 min 12 s", "2,143"):
        assert fact in plain, fact
    assert "jax 0.9.2" in plain
    assert "cpu, 2 cores, <a processor>" in plain


def test_the_chart_stands_where_the_numbers_say(report):
    results, text = report
    cell = results["policies"]["trained"]["reach"]["clean"]
    low, high = cell["wilson95"]
    assert f"left:{round(100 * low, 2)}%;width:{round(100 * (high - low), 2)}%" in text
    assert f"left:{round(100 * cell['rate'], 2)}%" in text


def test_the_pages_load_nothing_and_escape_what_they_are_told(report):
    _, text = report
    loads_nothing(text)
    assert "a &lt;test&gt;" in text
    assert "<test>" not in text
    assert len(text) < 5e6


def test_ids_of_the_drawings_are_unique(report):
    _, text = report
    unique_ids(text)


def test_curves_are_one_per_loss_stream_and_follow_the_page():
    curves = figures.learning_curves(METRICS)
    assert len(curves) == 2
    for curve in curves:
        assert "var(--series-0)" in curve
        assert "training step" in curve
        assert "xmlns" not in curve
        assert "font-family" not in curve
    assert curves == figures.learning_curves(METRICS)


def test_smoothing_is_a_running_mean():
    values = RNG.normal(size=30)
    expected = [values[max(0, n - 4) : n + 1].mean() for n in range(30)]
    np.testing.assert_allclose(figures.smooth(values, 5), expected)


def test_the_gallery_shows_each_axis_once_and_failures_in_turn(gallery):
    assert [strip.axis for strip in gallery.axes] == [CLEAN, *AXES]
    for strip in gallery.axes:
        assert strip.pictures.shape == (4, 16, 16, 3)
        assert ("solved" in strip.cause) == strip.success
    assert not any(strip.success for strip in gallery.failures)
    assert len(gallery.foresight) == 2
    for item in gallery.foresight:
        assert item.steps == (3, 6, 9, 12, 15)
        # The point world's policy expects the negative of what it sees when it plans.
        np.testing.assert_array_equal(255 - item.predicted[1:], item.truth[:-1])


def test_a_world_is_described_as_far_as_its_row_tells():
    row = {"axis": "noise", "sub_axis": "gaussian_blur", "severity": 4, "seed": 17}
    assert where(row) == "gaussian blur, severity 4, seed 17"
    assert where({"axis": CLEAN, "sub_axis": "", "severity": 0, "seed": 0}) == "seed 0"


def test_only_what_a_plan_itself_played_is_compared():
    assert comparable(plans=3, replan=4, stride=2, ahead=3) == [(0, 1, 1), (1, 1, 2)]
    assert comparable(plans=3, replan=4, stride=3, ahead=3) == []
    assert comparable(plans=3, replan=4, stride=4, ahead=0) == []


def test_failures_are_taken_from_the_axes_in_turn():
    axes = [CLEAN] * 4 + ["camera"] * 2 + ["layout"]
    success = [False, False, False, True, False, False, False]
    assert spread_failures(axes, success, 5) == [0, 4, 6, 1, 5]
    assert spread_failures(axes, success, 50) == [0, 4, 6, 1, 5, 2]
    assert spread_failures(axes, [True] * 7, 5) == []


def test_pictures_survive_the_page_exactly_unless_told_otherwise():
    picture = RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    raw = base64.b64decode(data_uri(picture).split(",")[1])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(raw))), picture)
    assert len(data_uri(picture, 4)) < len(data_uri(picture))


def test_the_verdict_names_weakest_and_best_axis():
    results = made_up()
    text = wording.verdict("reach", results["policies"], "trained")
    axes = results["policies"]["trained"]["reach"]["axes"]
    rates = {axis: cell["rate"] for axis, cell in axes.items()}
    worst = re.search(r"worst under (\w+)", text)
    assert worst is not None
    assert rates[worst.group(1)] == min(rates.values())
    assert "against random" in text


def test_a_report_of_an_untrained_policy_without_pictures_still_stands(tmp_path):
    results = made_up()
    path = write_report(
        tmp_path / "bare.html",
        results,
        title="bare",
        command="x",
        metrics=[],
        phases={},
        galleries=[],
    )
    text = path.read_text()
    assert "One world per axis" not in text
    assert "Learning" not in text
    with pytest.raises(jinja2.UndefinedError):
        page("report.html.j2", {"title": "half"})


def test_the_sample_page_shows_errors_frames_and_actions(tmp_path):
    frames = RNG.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    chunk = RNG.normal(size=(4, 7)).astype(np.float32)
    mask = np.ones((4, 7), bool)
    mask[:, 5] = False
    sample = Sample(
        label="episode 3, step 4",
        instruction="put it <there>",
        now=frames[0],
        truth=frames,
        predicted=frames,
        logged=chunk,
        actions=chunk + 0.1,
        mask=mask,
    )
    names = ("action_error", "mean_action_error", "last_action_error")
    errors = {name: 0.1234 * (n + 1) for n, name in enumerate(names)}
    errors |= {"frame_error": None, "repeat_frame_error": None, "windows": 70, "episodes": 7}
    errors["intervals"] = {name: [errors[name] * 0.9, errors[name] * 1.1] for name in names}
    path = write_sample_report(
        tmp_path / "sample.html", errors, [sample, sample], title="t", command="c"
    )
    text = path.read_text()
    loads_nothing(text)
    for name in names:
        assert f"{errors[name]:.4f}" in text
    assert "50 % below the better trivial predictor (0.247)" in text
    assert "put it &lt;there&gt;" in text
    assert text.count("<svg") == 2 * 6
    assert "Frames, 0 to 1" not in text
