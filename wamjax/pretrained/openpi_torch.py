"""The names of pi0 and pi0.5 in openpi's PyTorch export.

    Physical-Intelligence/openpi, src/openpi/models_pytorch/{pi0,gemma}_pytorch.py, as
    examples/convert_jax_model_to_pytorch.py writes it to safetensors

Modules are those of transformers' PaliGemma and Gemma, every layer by itself. The words' table goes
by the name of the head that is tied to it; the action expert has one that nothing reads.
"""

from wamjax.pretrained.encoder import ACROSS
from wamjax.pretrained.openpi_sizes import VECTORS, Sizes, Version
from wamjax.pretrained.table import Rule, Table

WHOLE = "paligemma_with_expert."
HEAD = f"{WHOLE}paligemma.lm_head.weight"
IMAGE = f"{WHOLE}paligemma.model.vision_tower.vision_model."
LAYER = "layers.{layer}."
EXPERTS = {
    "context": f"{WHOLE}paligemma.model.language_model.",
    "action": f"{WHOLE}gemma_expert.model.",
}


def table(sizes: Sizes, version: Version) -> Table:
    """Their names in the tree of `wamjax.pretrained.openpi.config`."""
    adaptive = version == "pi05"
    rules = [*_vision(), Rule(HEAD, "embed_word/table")]
    for name, stem in EXPERTS.items():
        rules += _expert(name, stem, adaptive=adaptive and name == "action")
    rules.append(Rule(f"{EXPERTS['context']}norm.weight", "stack_main/context_norm_out/scale"))
    last = f"{EXPERTS['action']}norm"
    maps = {"action_in_proj": "embed_action/in/one", "action_out_proj": "head_action/out/one"}
    if adaptive:
        maps |= {"time_mlp_in": "level_action/in", "time_mlp_out": "level_action/out"}
        rules += _adaptive(last, "head_action/modulation", 0, VECTORS[:2])
    else:
        maps |= {"state_proj": "embed_proprio/in/one"}
        maps |= {
            "action_time_mlp_in": "embed_action/mix",
            "action_time_mlp_out": "embed_action/out",
        }
        rules.append(Rule(f"{last}.weight", "head_action/norm/scale"))
    for theirs, ours in maps.items():
        rules += _both(theirs, ours)
    return Table(
        rules=tuple(rules),
        # Vision and language have layers and heads of their own.
        counts={"block": sizes.vision.depth, "layer": sizes.depth},
        sizes={
            "a": sizes.vision.heads,
            "n": sizes.heads,
            "k": sizes.kv_heads,
            "p": sizes.patch,
            "q": sizes.patch,
            "v": 3,
        },
        ignored=(r".*embed_tokens\.weight", r".*gemma_expert\.lm_head\.weight"),
        blank=tuple(f"{last}.dense.{end}" for end in ("weight", "bias") if adaptive),
    )


def _both(theirs: str, ours: str, turn: str = ACROSS) -> list[Rule]:
    """Weight and bias of a linear map."""
    return [
        Rule(f"{theirs}.weight", f"{ours}/kernel", turn),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    ]


def _norm(theirs: str, ours: str) -> list[Rule]:
    """Weight and bias of a layer norm."""
    return [Rule(f"{theirs}.weight", f"{ours}/scale"), Rule(f"{theirs}.bias", f"{ours}/bias")]


def _vision() -> list[Rule]:
    layer, ours = f"{IMAGE}encoder.layers.{{block}}.", "stack_vision/layers/"
    qkv = f"{ours}vision_in/qkv/"
    rules = [
        *_both(f"{IMAGE}embeddings.patch_embedding", "embed_image/in/one", "w c p q -> (p q c) w"),
        Rule(f"{IMAGE}embeddings.position_embedding.weight", "place_image"),
        *_norm(f"{layer}layer_norm1", f"{ours}vision_in/norm"),
        *_norm(f"{layer}layer_norm2", f"{ours}vision_out/mlp_norm"),
        *_both(f"{layer}self_attn.out_proj", f"{ours}vision_out/out", "w (a d) -> a d w"),
        *_both(f"{layer}mlp.fc1", f"{ours}vision_out/mlp/up"),
        *_both(f"{layer}mlp.fc2", f"{ours}vision_out/mlp/down"),
        *_norm(f"{IMAGE}post_layernorm", "stack_vision/vision_norm_out"),
        *_both(f"{WHOLE}paligemma.model.multi_modal_projector.linear", "take_main_vision_0"),
    ]
    for place, letter in enumerate("qkv"):
        name = f"{layer}self_attn.{letter}_proj"
        rules.append(Rule(f"{name}.weight", f"{qkv}kernel", "(a d) w -> w a d", (2, place)))
        rules.append(Rule(f"{name}.bias", f"{qkv}bias", "(a d) -> a d", (1, place)))
    return rules


def _expert(name: str, stem: str, *, adaptive: bool) -> list[Rule]:
    """The layers of an expert."""
    layer, ours = stem + LAYER, f"stack_main/layers/{name}_"
    attention, key = f"{layer}self_attn.", "(k h) d -> d k h"
    rules = [
        Rule(f"{attention}q_proj.weight", f"{ours}in/q/kernel", "(n h) d -> d n h"),
        Rule(f"{attention}k_proj.weight", f"{ours}in/kv/kernel", key, (2, 0)),
        Rule(f"{attention}v_proj.weight", f"{ours}in/kv/kernel", key, (2, 1)),
        Rule(f"{attention}o_proj.weight", f"{ours}out/out/kernel", "d (n h) -> n h d"),
    ]
    for part in ("gate", "up", "down"):
        rules.append(Rule(f"{layer}mlp.{part}_proj.weight", f"{ours}out/mlp/{part}/kernel", ACROSS))
    norms = (f"{layer}input_layernorm", f"{layer}post_attention_layernorm")
    if not adaptive:
        scales = (f"{ours}in/norm/scale", f"{ours}out/mlp_norm/scale")
        return [*rules, *(Rule(f"{a}.weight", b) for a, b in zip(norms, scales, strict=True))]
    for place, norm in enumerate(norms):
        rules += _adaptive(norm, f"{ours}in/modulation/own", 3 * place, VECTORS)
    return rules


def _adaptive(
    theirs: str, ours: str, first: int, vectors: tuple[tuple[int, int], ...]
) -> list[Rule]:
    """An adaptive norm's vectors, behind our `first` ones."""
    rules = []
    for there, here in vectors:
        name, part = f"{theirs}.dense.", (there, 3)
        weight = Rule(
            f"{name}weight", f"{ours}/kernel", "(v o) i -> v i o", (1, first + here), part
        )
        bias = Rule(f"{name}bias", f"{ours}/bias", "(v o) -> v o", (0, first + here), part)
        rules += [weight, bias]
    return rules
