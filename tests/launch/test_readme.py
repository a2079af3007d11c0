"""What the front page and launch/README.md tell a newcomer to type is what there is."""

import pathlib
import re
import shlex

import pytest

from tests.launch.test_same_command import HOLDS_FLAGS, NO_RUN, TAKES_FLAGS
from tests.launch.tiny import ROOT
from wamjax.cli import config_file
from wamjax.cli.main import parser, split_overrides

PAGES = [ROOT / "README.md", ROOT / "launch" / "README.md"]
FLAGS = "--config configs/bridge_tiny.py --config.data.dir=DATA --workdir WORKDIR"


def commands(page: pathlib.Path) -> list[list[str]]:
    """Words of every command on it: indented lines, and what stands between back quotes."""
    text = page.read_text()
    # Back quotes are removed with their content, lest a line that wraps is taken twice.
    found = re.findall(r"^    (?!FLAGS)(.+)$", text, re.MULTILINE) + re.findall(r"`([^`]+)`", text)
    found = [" ".join(line.replace("$FLAGS", FLAGS).split()) for line in found]
    lines = [re.sub(r"\bFLAGS\b", FLAGS, line) for line in found]
    starts = ("wamjax ", "bash ", "sbatch ", "kubectl ", "python launch", "sky ", "SPOT=1 bash ")
    return [shlex.split(line, comments=True) for line in lines if line.startswith(starts)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_one_that_is_taken(page: pathlib.Path):
    told = commands(page)
    assert len(told) >= 12
    for words in told:
        for word in words:
            if word.startswith(("launch/", "configs/", "tests/")) and "X.py" not in word:
                assert (ROOT / word.split(":")[0]).exists(), words
        if words[0] != "wamjax" or len(words) < 3 or "..." in words or "--help" in words:
            continue
        if words[1] not in ("train", "plan", "sample", "eval"):
            continue
        # In a sentence the workdir, or where it stands, is understood.
        given = [] if "--workdir" in words or words[1] == "plan" else ["--workdir", "WORKDIR"]
        plain, overrides = split_overrides([*words[1:], *given])
        args = parser(words[1]).parse_args(
            [word.replace("X.py", "bridge_tiny.py") for word in plain]
        )
        if overrides and "NAME" not in str(args.config):
            config_file.load(str(ROOT / args.config), overrides)


def test_every_file_that_is_told_to_start_something_is_tested():
    files = TAKES_FLAGS.keys() | HOLDS_FLAGS.keys() | NO_RUN
    for page in PAGES:
        for words in commands(page):
            for word in words:
                if word.startswith("launch/"):
                    assert word.removeprefix("launch/") in files


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: pathlib.Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    paths = re.findall(r"`((?:docs|notebooks|configs|tests|launch)/[\w./]+)`", page.read_text())
    assert links
    for link in links:
        assert (page.parent / link).exists(), link
    for path in paths:
        assert (ROOT / path).exists(), path
