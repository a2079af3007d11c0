"""`originals`: beside the published network ours is equal with its weights, not with others."""

import dataclasses

import jax
import pytest

from tests.codec.wan_reference import SMALL as WAN_VAES
from tests.pretrained import theirs
from tests.pretrained.test_encoders import TINY as ENCODERS
from wamjax.codec import vit
from wamjax.core.errors import UserError
from wamjax.pretrained import codecs, cosmos, encoders, ltx, wan
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import expand
from wamjax.pretrained.originals import (
    ORIGINALS,
    TOLERANCE,
    base,
    compared,
    pictures,
    sight,
    text,
    video,
)
from wamjax.pretrained.originals import codecs as of_codecs
from wamjax.pretrained.tensors import InMemory

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("diffusers", reason="the extra `reference` brings it")

pytestmark = pytest.mark.usefixtures("quick_to_compile")

WAN = wan.Sizes(heads=2, head_dim=12, depth=2, mlp=40, text=12, channels=3)
COSMOS = cosmos.Sizes(heads=2, head_dim=20, depth=2, mlp=160, text=12, channels=4, rank=5)
LTX = ltx.Sizes(heads=2, head_dim=16, depth=2, mlp=128, text=12, channels=5)


def of_encoder(name, make):
    encoder = ENCODERS[name]
    return make(encoder.sizes), encoders.target(encoder)


def of_sight(name, module):
    table = {"siglip": 0, "dinov2": 1, "clip": 2, "v_jepa2": 3}[name]
    encoder, tables = ENCODERS[name], encoders.TABLES[vit.VitEncoder]
    original = sight.vit_original(encoder.sizes, module, tables[table])
    return original, encoders.target(encoder)


def of_codec(codec):
    return of_codecs.codec_original(codec), codecs.target(codec)


CASES = {
    "wan": lambda: (video.wan_original(WAN), wan.target(WAN)),
    "wan, with a picture": lambda: (
        video.wan_original(dataclasses.replace(WAN, image=10, beside=4)),
        wan.target(dataclasses.replace(WAN, image=10, beside=4)),
    ),
    "cosmos": lambda: (video.cosmos_original(COSMOS), cosmos.target(COSMOS)),
    "ltx": lambda: (video.ltx_original(LTX), ltx.target(LTX)),
    "wan 2.1 vae": lambda: of_codec(WAN_VAES["Wan 2.1 VAE"]),
    "wan 2.2 vae": lambda: of_codec(WAN_VAES["Wan 2.2 VAE"]),
    "umt5": lambda: of_encoder("umt5", text.t5_original),
    "t5": lambda: of_encoder("t5", text.t5_original),
    "bert": lambda: of_encoder("bert", text.bert_original),
    "siglip": lambda: of_sight("siglip", sight.siglip_module),
    "dinov2": lambda: of_sight("dinov2", sight.dinov2_module),
    "clip": lambda: of_sight("clip", sight.clip_module),
    "v_jepa2": lambda: of_sight("v_jepa2", sight.v_jepa2_module),
    "qwen3_vl": lambda: of_encoder("qwen3_vl", pictures.qwen3_vl_original),
    "florence2": lambda: of_encoder("florence2", pictures.florence2_original),
}


def drawn(original):
    """What a file of the original with random weights holds."""
    torch.manual_seed(0)
    model = theirs.noisy(original.module.fresh(), 0)
    if original.module.config:
        held = theirs.tensors(model)
    else:
        held = {k: x.float().numpy() for k, x in model.state_dict().items()}
    return {move.theirs: held[move.theirs] for move in expand(original.table())}


def larger(weights):
    """With every product a tenth larger."""
    return jax.tree.map(lambda x: 1.1 * x if x.ndim > 1 else x, weights)


# One of each package; tests of each family hold the others against theirs, too.
QUICK = ("wan", "bert")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CASES],
)
def test_ours_is_the_original_and_with_other_weights_it_is_not(name):
    original, target = CASES[name]()
    held = InMemory(drawn(original))
    found = compared(original, held, original.table(), target)
    assert found
    # Twice what the parity tests allow of transformers: here both sides round to float32.
    assert max(found.values()) < (1e-4 if name.endswith("vae") else 2e-5), found
    own = original.ours
    wrong = dataclasses.replace(original, ours=lambda weights, given: own(larger(weights), given))
    assert min(compared(wrong, held, original.table(), target).values()) > TOLERANCE


def test_every_part_has_one_and_policies_have_none():
    assert {*ORIGINALS} <= {*FAMILIES}
    without = {*FAMILIES} - {*ORIGINALS}
    assert all(FAMILIES[name].recipe for name in without), without


@pytest.mark.parametrize("name", ORIGINALS)
def test_names_are_those_of_the_family(name):
    family, names = FAMILIES[name], {move.theirs for move in expand(ORIGINALS[name].table())}
    layouts = [{move.theirs for move in expand(make())} for make in family.layouts.values()]
    # Cosmos-Policy has NVIDIA's names alone.
    assert names in layouts or name == "cosmos-policy"


def test_what_cannot_be_run_is_told(monkeypatch):
    original, target = CASES["t5"]()
    held = InMemory(drawn(original))
    monkeypatch.setattr(base, "memory_available", lambda: 2**20)
    with pytest.raises(UserError, match="needs 1 GiB of memory, of which 0 are free"):
        compared(original, held, original.table(), target)
    monkeypatch.setattr(base, "NEEDED", ("torch", "no_such_package"))
    with pytest.raises(UserError, match="no_such_package not installed"):
        compared(original, held, original.table(), target)
