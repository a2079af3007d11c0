"""The pages of docs/studies/ follow from their records, and README tells their verdicts."""

import json
import pathlib
import re
import shlex

import pytest

from wamjax.cli.main import main
from wamjax.eval.study.markdown import as_markdown, verdict_table

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "studies").glob("*.md"))


def again(page: pathlib.Path) -> list[str]:
    """The words of the command that the page tells."""
    found = re.search(r"^wamjax (study .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])


def test_there_are_pages():
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_follows_from_its_records(page: pathlib.Path, monkeypatch, capsys):
    """Its own command with --check, every number; and the page is what the numbers say."""
    monkeypatch.chdir(ROOT)
    words = again(page)
    words[words.index("--workdir") + 1] = "docs/studies"
    if "--also" in words:
        del words[words.index("--also") : words.index("--also") + 2]
    assert main([*words, "--check"]) == 0
    assert "follows from its episodes" in capsys.readouterr().out
    results = json.loads((page.with_suffix("") / "study.json").read_text())
    command = shlex.join(["wamjax", *again(page)])
    told = as_markdown(results, command=command, figures=f"{page.stem}/figures")
    assert page.read_text(encoding="utf-8") == told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pictures_of_a_page_are_there(page: pathlib.Path):
    pictures = re.findall(r"\]\(([^)]+\.svg)\)", page.read_text(encoding="utf-8"))
    assert pictures
    for picture in pictures:
        assert (page.parent / picture).is_file()
        assert (page.parent / picture).with_suffix(".csv").is_file()


def test_the_first_study_s_verdict_stands_in_the_readme():
    results = json.loads((ROOT / "docs/studies/joint_vs_two_stage/study.json").read_text())
    assert verdict_table(results) in (ROOT / "README.md").read_text(encoding="utf-8")
