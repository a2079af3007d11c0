"""The page of a study: its numbers are study.json's, in tables, files and Markdown alike."""

import csv
import dataclasses
import html.parser
import importlib.resources
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.eval.page_laws import loads_nothing, unique_ids
from tests.eval.study import made_up
from wamjax.eval import wording as numbers
from wamjax.eval.gallery import Gallery, Strip
from wamjax.eval.study import (
    Data,
    Mode,
    Worlds,
    figures,
    fronts,
    looks,
    markdown,
    page,
    pictures,
    sections,
    wording,
)
from wamjax.eval.svg import LIGHT, MARKS, PAINTS
from wamjax.eval.worlds import AXES, CLEAN

COMMAND = "wamjax study configs/studies/<made_up>.py --workdir runs/x"
COLUMNS = (CLEAN, *AXES)


class Tables(html.parser.HTMLParser):
    """Tables of a page: rows of cells of texts."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.open = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        match tag:
            case "table":
                self.tables.append([])
            case "tr":
                self.tables[-1].append([])
            case "td" | "th":
                self.tables[-1][-1].append([])
                self.open = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.open = False

    def handle_data(self, data):
        if self.open and data.strip():
            self.tables[-1][-1][-1].append(data.replace(numbers.NBSP, " ").strip())


def plain(text):
    return text.replace(numbers.NBSP, " ")


@pytest.fixture(scope="module")
def results():
    return made_up.results(made_up.study())


@pytest.fixture(scope="module")
def written(results, tmp_path_factory):
    path = page.write_page(tmp_path_factory.mktemp("study"), results, command=COMMAND)
    return path, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def odd():
    """Two domains, data and checkpoints, repeated; one seed, no perturbed worlds, long names."""
    modes = (Mode(name="joint"), Mode(name="action_only", steps=2))
    study = made_up.study(
        arms=(made_up.arm("direct"), made_up.arm("joint", modes=modes)),
        data=(Data(name="clean", clean=8), Data(name="randomised", clean=0, randomised=8)),
        checkpoints=(0.5, 1.0),
        domains=("source", "target"),
        seeds=(0,),
        worlds=Worlds(manifest="", clean=30, each=0, repeats=2),
    )
    return made_up.results(study, worlds={CLEAN: 30})


def rate_told(cell):
    ends = cell["wilson95"] if "rate" in cell else (cell["low"], cell["high"])
    value = cell["rate"] if "rate" in cell else cell["value"]
    low, high = (f"{100 * end:.0f}" for end in ends)
    count = f"{cell['successes']} / {cell['episodes']}"
    return [f"{100 * value:.0f} %", count, f"{low}–{high} %"]


def difference_told(cell):
    return [
        wording.signed(cell["value"]),
        wording.span(cell),
        plain(wording.chance(cell["p_holm"])),
        cell["verdict"],
    ]


def test_the_table_of_conditions_is_study_json(results, written):
    head, *rows = Tables(written[1]).tables[0]
    assert len(head) == 6
    for cells, row in zip(rows, results["conditions"].values(), strict=True):
        assert cells[0][0] == row["label"]
        assert cells[1] == rate_told(row["cells"][CLEAN])
        assert cells[3] == rate_told(row["axes_together"])
        assert cells[5] == rate_told(row["together"])
        if row["against"]:
            assert cells[2] == difference_told(row["against"]["cells"][CLEAN])
            assert cells[4] == difference_told(row["against"]["axes_together"])
        else:
            assert cells[2] == cells[4] == []


def test_the_heat_map_is_study_json_and_marks_what_is_shown(results, written):
    head, *rows = Tables(written[1]).tables[1]
    assert [cell[0] for cell in head[1:]] == [*COLUMNS]
    signs = {"better": " ▲", "worse": " ▼", "no difference shown": ""}
    for cells, row in zip(rows, results["conditions"].values(), strict=True):
        for told, axis in zip(cells[1:], COLUMNS, strict=True):
            rate, count, interval = rate_told(row["cells"][axis])
            sign = signs[row["against"]["cells"][axis]["verdict"]] if row["against"] else ""
            assert told == [rate + sign, interval, count]


def test_costs_are_whole_and_for_a_point_of_success(results, written):
    _, *rows = Tables(written[1]).tables[2]
    for cells, row in zip(rows, results["conditions"].values(), strict=True):
        cost, success = row["cost"], 100 * row["together"]["value"]
        for told, name in zip(cells[1:4], ("train_flops", "train_seconds", "memory"), strict=True):
            spell = page.SPELL[name]
            assert row["cost_per_point"][name] == pytest.approx(cost[name] / success)
            assert told == [spell(cost[name]), f"{spell(cost[name] / success)} a point"]
        assert cells[4][0] == f"{cost['ms_per_chunk']:.1f} ms"


def test_tasks_ways_and_arms_are_study_json(results, written):
    tables = Tables(written[1]).tables[3:]
    for task, (_, *rows) in zip(results["tasks"], tables):
        for cells, row in zip(rows, results["conditions"].values(), strict=True):
            for told, axis in zip(cells[1:], COLUMNS, strict=True):
                rate, count, interval = rate_told(row["tasks"][task][axis])
                assert told == [rate, interval, count]
    text = plain(written[1])
    for table in page.ways(results, [*results["conditions"]]):
        for told, row in zip(table["rows"], results["conditions"].values(), strict=True):
            counts = [row["modes"][f"{table['task']}: {way}"] for way in table["ways"]]
            assert told["counts"] == [str(count) for count in counts]
    for arm in results["arms"].values():
        assert arm["says"] in text
        for path, own, reference in arm["differs"]:
            assert f"<code>{path}</code></td><td>{reference}</td><td>{own}</td>" in text
        [drawn] = arm["sees"].values()
        assert "\n".join(drawn) in text


def test_who_sees_whom_is_what_the_objective_says(results):
    """Of the last two runs of tokens, in this order video and actions where there are both."""
    (direct,), (cotrain,), (joint,) = (arm["sees"].values() for arm in results["arms"].values())
    assert not any("video/noisy" in row for row in direct)
    assert [row.split()[-1][-2:] for row in cotrain[-2:]] == ["#.", ".#"]
    assert [row.split()[-1][-2:] for row in joint[-2:]] == ["##", "##"]


def test_the_page_loads_nothing_escapes_and_can_be_run_again(results, written):
    text = written[1]
    loads_nothing(text)
    unique_ids(text)
    assert "&lt;made_up&gt;" in text
    for fact in (results["manifest_sha256"], made_up.DEVICE, "jax 0.9.2", results["question"]):
        assert fact in text
    for sentence in (*wording.headlines(results), wording.extent(results)):
        assert sentence in text


def test_figures_lie_beside_as_files_that_stand_alone(written):
    folder = written[0].parent / "figures"
    names = {path.stem for path in folder.glob("*.svg")}
    assert names == {path.stem for path in folder.glob("*.csv")}
    assert {f"severity_{axis}" for axis in AXES} < names
    assert {"rates_clean", "rates_axes", "differences", "heat_map", "causes"} < names
    assert {*fronts.FRONTS} < names
    for name in names:
        text = (folder / f"{name}.svg").read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "var(" not in text
        assert not any(sentinel in text for sentinel in PAINTS)
        assert text.count("://") == 1


def test_the_numbers_drawn_are_study_json(results, written):
    def rows_of(name):
        text = (written[0].parent / "figures" / f"{name}.csv").read_text()
        return list(csv.DictReader(io.StringIO(text)))

    conditions = results["conditions"]
    for row in rows_of("heat_map"):
        cell = conditions[row["condition"]]["cells"][row["axis"]]
        assert int(row["successes"]) == cell["successes"]
        assert [float(row["low"]), float(row["high"])] == cell["wilson95"]
    for row in rows_of("severity_camera"):
        if row["severity"] != "0":
            cell = conditions[row["condition"]]["severities"]["camera"][row["severity"]]
            assert float(row["value"]) == cell["rate"]
    for row in rows_of("rates_axes"):
        mine = conditions[row["condition"]]
        cell = mine["axes_together"] if row["seed"] == "all" else mine["seeds"][row["seed"]]["axes"]
        assert int(row["successes"]) == cell["successes"]
    for row in rows_of("causes"):
        assert int(row["episodes"]) == conditions[row["condition"]]["causes"][row["cause"]]
    for row in rows_of("success_flops"):
        assert float(row["train_flops"]) == conditions[row["condition"]]["cost"]["train_flops"]


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.4, 1.0])
def test_axes_of_success_end_above_what_is_drawn_and_not_far_above(scale):
    rates = {arm: scale * rate for arm, rate in made_up.RATES.items()}
    results = made_up.results(made_up.study(), rates=rates)
    roof, highest = looks.roof(results), 0.0
    for name, figure in figures.figures(results).items():
        if name.startswith(("rates", "severity", "success")):
            alone = name.startswith("severity_")
            ends = ["value"] if alone else ["value", "high"]
            highest = max(highest, *(100 * row[end] for row in figure.rows for end in ends))
    assert roof / 3 < highest
    assert roof == 100 or highest <= roof


def test_an_odd_study_has_its_own_sections_and_no_empty_ones(odd, tmp_path):
    strip = Strip(
        task="reach", axis=CLEAN, row={"axis": CLEAN, "seed": 3}, instruction="<reach> it",
        pictures=np.zeros((2, 4, 4, 3), np.uint8), success=False, cause="ended 9.0 cm away",
        kind="missed",
    )  # fmt: skip
    won = dataclasses.replace(strip, success=True, cause="solved after 7 steps")
    gallery = Gallery(axes=(won,), failures=(strip,), foresight=())
    shown = [("joint", pictures.told([gallery]))]
    path = page.write_page(tmp_path, odd, command=COMMAND, pictures=shown)
    text = path.read_text(encoding="utf-8")
    loads_nothing(text)
    unique_ids(text)
    for there in ("Source and target domain", "How many ways", "Earlier checkpoints", "Failures"):
        assert there in text, there
    for absent in ("Under each axis", "mean of axes", "What was expected", "By severity"):
        assert absent not in text, absent
    assert text.count("joint: reach, clean") == 2
    assert text.index(">never came near</h3>") < text.index("ended 9.0 cm away")
    assert "joint action_only randomised 100% target" in text
    gap = next(iter(odd["transfer"]["gaps"].values()))["cells"]["all"]
    assert f"<td>{wording.signed(gap['value'])}<span" in text
    assert odd["diversity"]
    for row in sections.diversity_view(odd)["tasks"][0]["rows"]:
        assert row["count"] in text
    told = markdown.as_markdown(odd, command=COMMAND)
    for there in ("## Source and target domain", "## How many ways", "## Earlier checkpoints"):
        assert there in told, there
    for absent in ("## Under each axis", "mean of axes"):
        assert absent not in told, absent
    for row in sections.diversity_view(odd)["tasks"][0]["rows"]:
        assert f"| {row['label']} | {row['count']} | " in told
    names = re.findall(r"figures/(\w+)\.svg", told)
    assert names
    assert all((tmp_path / "figures" / f"{name}.svg").is_file() for name in names)


def test_markdown_says_the_same(results, written):
    text = markdown.as_markdown(results, command=COMMAND, figures="made_up")
    for sentence in wording.headlines(results):
        assert f"**{sentence}**" in text
    for row in results["conditions"].values():
        rate, count, interval = rate_told(row["cells"][CLEAN])
        line = next(line for line in text.splitlines() if line.startswith(f"| {row['label']} | "))
        assert f"{rate} ({count}; {interval})" in line
        rate, count, interval = rate_told(row["together"])
        assert line.endswith(f"| {rate} ({count}; {interval}) |")
        assert line in markdown.verdict_table(results)
    names = re.findall(r"\(made_up/(\w+)\.svg\)", text)
    there = {path.stem for path in (written[0].parent / "figures").glob("*.svg")}
    assert {*names} == {name for name in there if not name.startswith("severity_")}
    for arm in results["arms"].values():
        for drawn in arm["sees"].values():
            assert "```\n" + "\n".join(drawn) + "\n```" in text
    assert COMMAND in text
    assert numbers.NBSP not in text


def test_conditions_look_different_and_the_reference_is_grey(results, odd):
    row = next(iter(results["conditions"].values()))
    arms = ["direct", *(f"arm{place}" for place in range(12))]
    many = {"against": "direct", "conditions": {arm: row | {"arm": arm} for arm in arms}}
    for made in (results, odd, many):
        look, final = looks.looks(made), looks.final(made)
        assert len({look[key] for key in final}) == len(final)
        for key, row in made["conditions"].items():
            assert (look[key][0] == looks.NEUTRAL) == (row["arm"] == made["against"])
            assert look[key][1] in MARKS
    joined = looks.lines(odd, odd["conditions"])
    assert all(
        [odd["conditions"][k]["fraction"] for k in keys] == [0.5, 1] for keys in joined.values()
    )


def test_the_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = {str(n): tuple(rng.integers(0, 6, 2).astype(float)) for n in range(8)}
        expected = {
            name
            for name, (cost, success) in drawn.items()
            if not any(
                c <= cost and s >= success and (c, s) != (cost, success) for c, s in drawn.values()
            )
        }
        assert {*looks.undominated(drawn)} == expected


def test_files_have_the_colours_of_the_light_page():
    style = importlib.resources.files("wamjax.eval").joinpath("templates/style.css.j2").read_text()
    light = style[: style.index("@media")]
    for place, colour in enumerate(LIGHT):
        assert f"--series-{place}: {colour}" in light
    for sentinel, (variable, colour) in PAINTS.items():
        name = re.fullmatch(r"var\((--[\w-]+)\)", variable)
        assert name is not None, variable
        assert f"{name[1]}: {colour}" in light, sentinel
