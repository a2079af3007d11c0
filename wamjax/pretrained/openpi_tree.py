"""openpi's own names of pi0 and pi0.5, with "/" between the keys of Orbax's tree.

    Physical-Intelligence/openpi, src/openpi/models/{pi0,gemma,siglip}.py

Layers are stacked there as they are here. The first expert is the language model, names of the
second end in "_1". One tensor holds both maps up of a feed-forward part, one the three vectors of
an adaptive norm: scale, shift, gate, of which the last norm uses no gate.
"""

from wamjax.pretrained.openpi_sizes import VECTORS, Sizes, Version
from wamjax.pretrained.table import Rule, Table

IMAGE, MODEL = "PaliGemma/img/", "PaliGemma/llm/"


def table(sizes: Sizes, version: Version) -> Table:
    """Their names in the tree of `config`."""
    adaptive = version == "pi05"
    rules = [*_vision(), *_expert("context", "", adaptive=False)]
    rules += _expert("action", "_1", adaptive=adaptive)
    rules.append(Rule(f"{MODEL}embedder/input_embedding", "embed_word/table"))
    rules.append(Rule(f"{MODEL}final_norm/scale", "stack_main/context_norm_out/scale"))
    last = f"{MODEL}final_norm_1"
    maps = {"action_in_proj": "embed_action/in/one", "action_out_proj": "head_action/out/one"}
    if adaptive:
        maps |= {"time_mlp_in": "level_action/in", "time_mlp_out": "level_action/out"}
        rules += _adaptive(last, "head_action/modulation", "", 0, VECTORS[:2])
    else:
        maps |= {"state_proj": "embed_proprio/in/one"}
        maps |= {
            "action_time_mlp_in": "embed_action/mix",
            "action_time_mlp_out": "embed_action/out",
        }
        rules.append(Rule(f"{last}/scale", "head_action/norm/scale"))
    for theirs, ours in maps.items():
        rules += _both(theirs, ours)
    return Table(
        rules=tuple(rules),
        sizes={"p": sizes.patch, "q": sizes.patch, "v": 3},
        # The gate of the last norm gates nothing.
        blank=tuple(f"{last}/Dense_0/{end}" for end in ("kernel", "bias") if adaptive),
    )


def _both(theirs: str, ours: str, turn: str = "") -> list[Rule]:
    """Kernel and bias of a linear map."""
    return [
        Rule(f"{theirs}/kernel", f"{ours}/kernel", turn),
        Rule(f"{theirs}/bias", f"{ours}/bias"),
    ]


def _norm(theirs: str, ours: str) -> list[Rule]:
    """Scale and bias of a layer norm."""
    return [Rule(f"{theirs}/{end}", f"{ours}/{end}") for end in ("scale", "bias")]


def _vision() -> list[Rule]:
    layer, ours = f"{IMAGE}Transformer/encoderblock/", "stack_vision/layers/"
    attention = f"{layer}MultiHeadDotProductAttention_0/"
    qkv = f"{ours}vision_in/qkv/"
    rules = [
        *_both(f"{IMAGE}embedding", "embed_image/in/one", "p q c w -> (p q c) w"),
        Rule(f"{IMAGE}pos_embedding", "place_image", "1 n w -> n w"),
        *_norm(f"{layer}LayerNorm_0", f"{ours}vision_in/norm"),
        *_norm(f"{layer}LayerNorm_1", f"{ours}vision_out/mlp_norm"),
        *_both(f"{attention}out", f"{ours}vision_out/out"),
        *_both(f"{layer}MlpBlock_0/Dense_0", f"{ours}vision_out/mlp/up"),
        *_both(f"{layer}MlpBlock_0/Dense_1", f"{ours}vision_out/mlp/down"),
        *_norm(f"{IMAGE}Transformer/encoder_norm", "stack_vision/vision_norm_out"),
        *_both(f"{IMAGE}head", "take_main_vision_0"),
    ]
    for place, name in enumerate(("query", "key", "value")):
        rules.append(Rule(f"{attention}{name}/kernel", f"{qkv}kernel", slot=(3, place)))
        rules.append(Rule(f"{attention}{name}/bias", f"{qkv}bias", slot=(2, place)))
    return rules


def _expert(name: str, end: str, *, adaptive: bool) -> list[Rule]:
    """The layers of an expert whose names end so."""
    layer, ours = f"{MODEL}layers/", f"stack_main/layers/{name}_"
    attention, gating = f"{layer}attn/", f"{layer}mlp{end}/gating_einsum"
    up = "l s d f -> s l d f"
    rules = [
        Rule(f"{attention}q_einsum{end}/w", f"{ours}in/q/kernel", "l n d h -> l d n h"),
        Rule(f"{attention}kv_einsum{end}/w", f"{ours}in/kv/kernel", "l s k d h -> l d k s h"),
        Rule(f"{attention}attn_vec_einsum{end}/w", f"{ours}out/out/kernel"),
        Rule(gating, f"{ours}out/mlp/gate/kernel", up, part=(0, 2)),
        Rule(gating, f"{ours}out/mlp/up/kernel", up, part=(1, 2)),
        Rule(f"{layer}mlp{end}/linear", f"{ours}out/mlp/down/kernel"),
    ]
    norms = (f"{layer}pre_attention_norm{end}", f"{layer}pre_ffw_norm{end}")
    if not adaptive:
        scales = (f"{ours}in/norm/scale", f"{ours}out/mlp_norm/scale")
        return [*rules, *(Rule(f"{a}/scale", b) for a, b in zip(norms, scales, strict=True))]
    for place, norm in enumerate(norms):
        rules += _adaptive(norm, f"{ours}in/modulation/own", "l", 3 * place, VECTORS)
    return rules


def _adaptive(
    theirs: str, ours: str, lead: str, first: int, vectors: tuple[tuple[int, int], ...]
) -> list[Rule]:
    """An adaptive norm's vectors, behind the axes `lead` and behind our `first` ones."""
    rules = []
    for there, here in vectors:
        for end, axes in (("kernel", f"{lead} i"), ("bias", lead)):
            turn = f"{axes} (v o) -> v {axes} o"
            slot = (len(axes.split()), first + here)
            rules.append(Rule(f"{theirs}/Dense_0/{end}", f"{ours}/{end}", turn, slot, (there, 3)))
    return rules
