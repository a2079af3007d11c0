"""The grid of a search: what makes no difference is not tried twice."""

import pytest

from wamjax.cli.main import parser
from wamjax.cli.plan import asked
from wamjax.eval.plan.chips import slice_of
from wamjax.eval.plan.search import REMATS, choices


def remats(words: str) -> tuple[str, ...]:
    args = parser("plan").parse_args(["plan", *words.split(), "--topology", "v6e-4"])
    args.overrides = []
    return asked(args).remats


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        ("--recipe uwm", REMATS),
        ("--recipe uwm --remat dots", ("dots",)),
        ("--recipe uwm --what sample", ("none",)),
        ("--config configs/quickstart.py", REMATS),
        # The tiny form of a recipe makes nothing anew.
        ("--config configs/recipe.py:octo", ("none",)),
    ],
)
def test_only_what_the_case_has_is_tried(words: str, tried: tuple[str, ...], at_root):
    assert remats(words) == tried


def test_the_grid_has_every_point_once_and_fills_the_slice():
    part = slice_of("v6e-8")
    found = list(choices(part, ("none",)))
    assert len(set(found)) == len(found) == 16
    assert {choice.remat for choice in found} == {"none"}
    assert all(choice.mesh.fsdp * choice.mesh.tensor == part.devices for choice in found)
    assert len(list(choices(part))) == len(REMATS) * len(found)
