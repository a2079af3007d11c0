"""Plans of action chunks: FLOPs counted by pass and walked as a whole, bytes, what is refused."""

import dataclasses
import importlib.util

import pytest

from wamjax.cli.main import main
from wamjax.eval.plan.case import case_of_config
from wamjax.eval.plan.chips import slice_of
from wamjax.eval.plan.report import planned
from wamjax.eval.plan.sampling import sampling_of_config, sampling_of_recipe
from wamjax.model.couplings import Size, coupled
from wamjax.parallel.mesh import MeshConfig
from wamjax.recipes.config import ContextConfig
from wamjax.recipes.network import parameters
from wamjax.recipes.registry import RECIPES

HERE = importlib.util.find_spec("libtpu") is not None
PART, MESH = slice_of("v6e-4"), MeshConfig(data=1, fsdp=4)
# A prefill and a solver, words one after another, two phases with guidance and reuse.
SOME = ("fast_wam", "univla", "lingbot_va")


def counted_and_walked(name: str, size: str) -> tuple[float, float]:
    case = sampling_of_recipe(RECIPES[name], 4, size=size)
    flops = planned(case, PART, MESH, compiler=False).flops
    assert flops["walked"] == flops["done"]
    return flops["counted"], flops["walked"]


@pytest.mark.parametrize("name", SOME)
def test_a_chunk_is_its_passes(name: str):
    counted, walked = counted_and_walked(name, "tiny")
    assert counted == pytest.approx(walked, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_chunk_of_the_full_size_is_its_passes(name: str):
    counted, walked = counted_and_walked(name, "full")
    assert counted == pytest.approx(walked, rel=1e-6)


def test_weights_are_loaded_in_the_type_of_the_products_and_split_over_the_mesh():
    case = sampling_of_recipe(RECIPES["fast_wam"], 1)
    mesh = MeshConfig(data=1, fsdp=1, tensor=4)
    report = planned(case, PART, mesh, compiler=False)
    assert report.parameters == parameters(RECIPES["fast_wam"].build("full"))
    # What heads and feed-forward parts do not split (embeddings, modulation) is whole everywhere.
    share = report.memory["weights"] / (2 * report.parameters)
    assert 0.25 < share < 0.27
    assert "optimizer" not in report.memory
    assert list(report.rates) == ["chunks"]


def test_more_chunks_do_more_products_and_read_the_same_weights():
    few, many = (
        planned(
            sampling_of_recipe(RECIPES["fast_wam"], rows, size="tiny"), PART, MESH, compiler=False
        )
        for rows in (4, 64)
    )
    assert many.flops["done"] == 16 * few.flops["done"]
    batch = many.memory["batch"] - few.memory["batch"]
    moved = (many.seconds["memory"] - few.seconds["memory"]) * PART.chip.bandwidth
    assert moved == pytest.approx(batch, rel=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="libtpu is not installed (the tpu-plan extra)")
def test_every_layer_of_every_step_adds_up_over_tensor():
    blueprint = RECIPES["fast_wam"].build("tiny")
    case = sampling_of_recipe(RECIPES["fast_wam"], 4, size="tiny")
    report = planned(case, PART, MeshConfig(data=1, fsdp=2, tensor=2), quick=True)
    assert report.fits
    layers = blueprint.program[0].steps * blueprint.model.stacks[0].depth
    sums = [one["count"] for one in report.sent if one["axes"] == ("tensor",)]
    # Attention, text and feed-forward part of the actions' expert; the compiler may join two.
    assert sum(sums) >= 2 * layers


@pytest.mark.parametrize("which", ["lingbot_va", "octo/goal"])
def test_a_config_samples_from_what_its_policy_is_shown(which: str, config_of):
    config = config_of(f"configs/recipe.py:{which}")
    report = planned(sampling_of_config(config, 4), PART, MESH, compiler=False)
    assert report.what == "sample"
    assert report.flops["counted"] is None
    assert report.flops["walked"] > 0


def test_remat_is_no_work_of_the_model(config_of):
    config = config_of("configs/quickstart.py")
    model = coupled("trunk", Size(width=64, depth=2, heads=2, head_dim=32))
    system = dataclasses.replace(config.system, model=model, context=ContextConfig(kind="none"))
    config = dataclasses.replace(config, system=system)
    plain, anew = (
        planned(case_of_config(config, 4, remat), PART, MESH, compiler=False)
        for remat in ("none", "full")
    )
    assert plain.flops["walked"] == plain.flops["done"] == anew.flops["walked"]
    assert anew.flops["done"] > 1.1 * anew.flops["walked"]
    # MFU is the model's work over the time of all work.
    share = anew.flops["walked"] / anew.flops["done"]
    assert anew.mfu[0] <= share


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--recipe", "pi0", "--what", "sample", "--remat", "full"], "sample has none"),
        (["--recipe", "motus", "--form", "world_model", "--what", "sample"], "samples no actions"),
        (["--config", "configs/quickstart.py", "--tensor", "2"], "set --config.mesh.tensor"),
        (["--config", "configs/recipe.py", "--remat", "full"], "needs a config whose system"),
    ],
)
def test_what_has_no_meaning_is_one_sentence(words: list[str], text: str, capsys, at_root):
    assert main(["plan", *words, "--topology", "v6e-4", "--analytic"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "wamjax plan: " in line]
    assert len(told) == 1
    assert text in told[0]
