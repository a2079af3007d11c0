"""The climb to the smallest slice, with a compiler of our own that says how much is needed."""

import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any

import jax
import pytest

from wamjax.cli import plan_rows, plan_table
from wamjax.cli.main import main
from wamjax.eval.plan.apart import CompilerError, apart
from wamjax.eval.plan.case import Training, case_of_recipe
from wamjax.eval.plan.chips import CHIPS, GIB
from wamjax.eval.plan.compile import nowhere
from wamjax.eval.plan.report import Report, planned
from wamjax.eval.plan.rows import read_rows, shapes_of_step
from wamjax.eval.plan.smallest import BESIDE, TOKENS, Spot, examples, smallest
from wamjax.parallel.shardings import unbox
from wamjax.recipes.registry import RECIPES
from wamjax.train.config import TrainConfig

WEIGHTS = 6_020_684_999
NOTHING = Report(
    name="", what="train", slice="", mesh={}, devices=1, chips=1, rows=1, tokens=None,
    parameters=1, trained=1, flops={}, memory={}, fits=None, sent=[], seconds={}, bound="",
    mfu=(0.0, 0.0), compile_seconds=None, quick=True,
)  # fmt: skip


def fast_wam(rows: int) -> Training:
    return case_of_recipe(RECIPES["fast_wam"], rows)


def univla(rows: int) -> Training:
    return case_of_recipe(RECIPES["univla"], rows)


@dataclasses.dataclass
class Compiler:
    """Says that a step needs the state and so many bytes of activations, split over tensor."""

    activations: float
    most: int = 100
    make: Callable[[int], Training] = fast_wam

    def __post_init__(self) -> None:
        self.spots: list[Spot] = []

    def __call__(self, spot: Spot) -> Report | None:
        if len(self.spots) == self.most:
            return None
        self.spots.append(spot)
        there: Any = nowhere(spot.mesh, spot.part)
        total = sum(self.make(spot.rows).placed(there).parts.values())
        total += self.activations / spot.mesh.tensor
        memory = {"total": total, "limit": spot.part.memory}
        fits = total <= spot.part.memory
        return dataclasses.replace(NOTHING, slice=spot.part.name, memory=memory, fits=fits)


@pytest.mark.parametrize("tokens", [1, 293, 455, 2048, 2276, 4096, 15_572])
def test_a_device_gets_at_most_so_many_tokens_and_at_least_one_example(tokens: int):
    count = examples(tokens)
    assert count == 1 or count * tokens <= TOKENS
    assert 2 * count * tokens > TOKENS
    assert math.log2(count).is_integer()


def test_what_state_and_gradient_fill_is_not_compiled():
    compiler = Compiler(0.0)
    found = smallest(fast_wam, CHIPS["v6e"], compiler, estimate=False)
    # 16 bytes a weight and 4 of its gradient: 112 GiB, of which four chips have 128.
    assert [spot.part.name for spot in compiler.spots] == ["v6e:2x2"]
    assert found.report is not None
    assert found.report.slice == found.at_least == "v6e:2x2"
    assert found.below is not None
    assert (found.below.slice, found.below.how) == ("v6e:1x1", "counted")
    assert found.below.needed == pytest.approx(20 * WEIGHTS, rel=1e-3)


def test_an_estimate_excludes_a_slice_unless_it_is_to_be_confirmed():
    """24 bytes a weight of univla are a sixth more than four chips have."""

    def tried(*, estimate: bool) -> list[str]:
        compiler = Compiler(0.0, make=univla)
        found = smallest(univla, CHIPS["v6e"], compiler, estimate=estimate)
        if estimate:
            assert found.below is not None
            assert (found.below.slice, found.below.how) == ("v6e:2x2", "estimated")
            weights = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(unbox(univla(1).boxed)))
            assert found.below.needed == pytest.approx((16 + BESIDE) * weights / 4, rel=1e-2)
        return [spot.part.name for spot in compiler.spots]

    assert tried(estimate=True) == ["v6e:2x4"]
    assert tried(estimate=False) == ["v6e:2x2"]


def test_an_estimate_that_is_a_little_too_much_excludes_nothing():
    """24 bytes a weight of fast_wam are a twentieth more than four chips have."""
    compiler = Compiler(0.0)
    found = smallest(fast_wam, CHIPS["v6e"], compiler)
    assert [spot.part.name for spot in compiler.spots] == ["v6e:2x2"]
    assert found.report is not None


def test_activations_are_split_over_tensor_where_that_helps():
    compiler = Compiler(14 * GIB)
    found = smallest(fast_wam, CHIPS["v6e"], compiler, estimate=False)
    tried = [(spot.part.name, spot.mesh.fsdp, spot.mesh.tensor) for spot in compiler.spots]
    assert tried == [("v6e:2x2", 4, 1), ("v6e:2x2", 2, 2)]
    assert found.report is not None
    assert compiler.spots[-1].rows == 2 * examples(455)


def test_activations_that_no_split_makes_fit_need_a_larger_slice():
    compiler = Compiler(20 * GIB)
    found = smallest(fast_wam, CHIPS["v6e"], compiler, estimate=False)
    assert [spot.part.name for spot in compiler.spots] == ["v6e:2x2", "v6e:2x4"]
    assert found.report is not None
    assert found.below is not None
    assert found.below.how == "compiled"
    assert found.below.needed > CHIPS["v6e"].memory


def test_a_split_that_took_too_much_is_not_compiled_again_where_only_state_shrinks():
    def tried(estimate: bool) -> list[tuple[str, int]]:
        compiler = Compiler(60 * GIB)
        found = smallest(fast_wam, CHIPS["v6e"], compiler, estimate=estimate)
        assert found.report is not None
        return [(spot.part.name, spot.mesh.tensor) for spot in compiler.spots]

    # 60 GiB beside the state on four chips, so on eight; split in two 30, in four 15.
    assert tried(True) == [("v6e:2x2", 1), ("v6e:2x4", 2), ("v6e:2x4", 4)]
    assert ("v6e:2x4", 1) in tried(False)


def test_a_climb_that_is_cut_short_says_where_it_stands():
    found = smallest(fast_wam, CHIPS["v6e"], Compiler(20 * GIB, most=1), estimate=False)
    assert found.report is None
    assert found.at_least == "v6e:2x4"
    assert found.below is not None
    assert found.below.slice == "v6e:2x2"


def test_where_the_compiler_aborts_another_mesh_is_tried():
    compiler = Compiler(0.0)

    def ask(spot: Spot) -> Report | None:
        if spot.mesh.tensor == 1:
            raise CompilerError
        return compiler(spot)

    found = smallest(fast_wam, CHIPS["v6e"], ask, estimate=False)
    assert found.report is not None
    assert [spot.mesh.tensor for spot in compiler.spots] == [2]


def test_a_slice_on_which_the_compiler_aborts_is_told_and_not_passed_over():
    def ask(spot: Spot) -> Report | None:
        raise CompilerError

    found = smallest(fast_wam, CHIPS["v6e"], ask, estimate=False)
    assert found.report is None
    assert (found.at_least, found.fault) == ("v6e:2x2", True)
    assert plan_table.slice_text(found) == "2x2 or larger (libtpu aborts)"


def test_a_process_that_dies_is_a_fault_of_the_compiler():
    with pytest.raises(CompilerError):
        apart(os.abort)
    with pytest.raises(ValueError, match="invalid literal"):
        apart(int, "no number")


def counted(case: Training, part, mesh, *, quick: bool) -> Report:
    """As if it had been compiled."""
    found = planned(case, part, mesh, compiler=False)
    return dataclasses.replace(found, fits=True, quick=quick, compile_seconds=1.0)


def test_a_table_that_was_cut_short_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    """Compiled by counting; the second program is not reached at first."""
    made: list[str] = []

    def fake(case: Training, part, mesh, *, quick: bool) -> Report:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(case.name)
        return counted(case, part, mesh, quick=quick)

    monkeypatch.setattr(plan_rows, "planned", fake)
    monkeypatch.setattr(plan_rows, "apart", lambda function, *given: function(*given))
    monkeypatch.setattr(plan_table, "RECIPES", {name: RECIPES[name] for name in ("uwm", "octo")})
    words = ["plan", "--table", "--families", "v6e", "--page", str(tmp_path / "plans.md")]
    assert main(words) == 130
    before = (tmp_path / "plans.md").read_text()
    assert "1 of 8 rows" in before
    assert main([*words, "--analytic"]) == 0
    page = (tmp_path / "plans.md").read_text()
    assert "| `uwm` | 1x1 (v6e-1) | one device | 8 |" in page
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert "| **v6e-1**, 1 |" in page
    assert "| 1x1 or larger |" in rows["octo"]
    made.clear()
    assert main(words) == 0
    assert made == ["octo"]
    assert "2 of 8 rows" in (tmp_path / "plans.md").read_text()
    # What the table compiled is what the command line would.
    words = ["plan", "--recipe", "uwm", "--topology", "v6e-1", "--batch", "8", "--quick", "--json"]
    capsys.readouterr()
    assert main(words) == 0
    assert '"compile_seconds": 1.0' in capsys.readouterr().out


@pytest.fixture
def two_recipes(monkeypatch):
    """A table of two rows whose programs are counted; which were."""
    made: list[str] = []

    def fake(case: Training, part, mesh, *, quick: bool) -> Report:
        made.append(case.name)
        return counted(case, part, mesh, quick=quick)

    monkeypatch.setattr(plan_rows, "planned", fake)
    monkeypatch.setattr(plan_rows, "apart", lambda function, *given: function(*given))
    monkeypatch.setattr(plan_table, "RECIPES", {name: RECIPES[name] for name in ("uwm", "octo")})
    return made


def test_rows_go_from_one_machine_to_the_next(two_recipes, tmp_path, monkeypatch):
    """Beside the page they are known without what was compiled; of other shapes they are not."""
    page = tmp_path / "plans.md"
    words = ["plan", "--table", "--families", "v6e", "--page", str(page)]
    assert main([*words, "--only", "uwm"]) == 0
    assert two_recipes == ["uwm"]
    assert "1 of 8 rows" in page.read_text()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert main(words) == 0
    assert two_recipes == ["uwm", "octo"]
    whole, rows = page.read_text(), page.with_suffix(".json").read_text()
    assert "2 of 8 rows" in whole
    # Read again, nothing changes; of another family, nothing is lost.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third"))
    assert main(words) == 0
    assert (page.read_text(), page.with_suffix(".json").read_text()) == (whole, rows)
    assert main(["plan", "--table", "--families", "v5p", "--only", "uwm", *words[4:]]) == 0
    assert set(read_rows(page.with_suffix(".json"))) == {
        ("uwm", "v6e"), ("octo", "v6e"), ("uwm", "v5p")
    }  # fmt: skip
    assert two_recipes == ["uwm", "octo", "uwm"]
    assert "3 of 8 rows" in page.read_text()
    # The rows of a recipe that has become another one are made again, or go.
    page.with_suffix(".json").write_text(
        rows.replace(plan_rows.Target("recipe", "octo").shapes, "old")
    )
    assert main([*words, "--only", "uwm"]) == 0
    assert "1 of 8 rows" in page.read_text()  # That of v5p is of the other file.
    assert set(read_rows(page.with_suffix(".json"))) == {("uwm", "v6e")}
    assert main(words) == 0
    assert two_recipes == ["uwm", "octo", "uwm", "octo"]
    assert (page.read_text(), page.with_suffix(".json").read_text()) == (whole, rows)
    assert main([*words, "--fresh", "--only", "octo"]) == 0
    assert two_recipes == ["uwm", "octo", "uwm", "octo", "octo"]


def test_a_step_s_shapes_tell_recipes_and_settings_apart():
    def of(name: str, **given: Any) -> str:
        return shapes_of_step(case_of_recipe(RECIPES[name], 1, **given))

    assert of("uwm") == of("uwm")
    slots = TrainConfig(mu_dtype="bfloat16")
    assert len({of("uwm"), of("octo"), of("uwm", size="tiny"), of("uwm", train=slots)}) == 4


def test_a_file_that_holds_no_rows_is_one_sentence(tmp_path, capsys):
    (tmp_path / "plans.json").write_text('{"rows": [{"trained": "uwm"}]}')
    assert main(["plan", "--table", "--page", str(tmp_path / "plans.md")]) == 2
    assert "holds no rows of a plan table" in capsys.readouterr().err
    assert not (tmp_path / "plans.md").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--table", "--only", "uwm,no"], "--only 'no' has no row: choose from"),
        (["--table", "--recipe", "uwm"], "--recipe has no meaning beside --table"),
        (["--table", "--families", "v5p,v9"], "'v9' is not known"),
        (["--table", "--page", "no/such/folder/x.md"], "does not exist"),
        (["--recipe", "uwm"], "needs --topology SLICE"),
    ],
)
def test_what_makes_no_table_is_one_sentence(words: list[str], text: str, capsys):
    assert main(["plan", *words]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "wamjax plan: " in line]
    assert len(told) == 1
    assert text in told[0]
