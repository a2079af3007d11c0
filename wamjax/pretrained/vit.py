"""Name tables of vision transformers.

    transformers   `SiglipVisionModel`, `Dinov2Model`, `Dinov2WithRegistersModel`,
                   `CLIPVisionModel`, `VJEPA2Model`
    Wan            models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth, its image encoder
                   (Wan-Video/Wan2.1, wan/modules/clip.py)

Names stand as those of the vision model alone: files of whole models have prefixes before them
("vision_model.", "model.vision_tower.vision_model.", ...).
"""

from wamjax.codec.vit import VitSizes
from wamjax.pretrained.encoder import mlp, norm, out, qkv, qkv_in_one
from wamjax.pretrained.table import Rule, Table

IMAGE = "w c i j -> 1 i j c w"
VIDEO = "w c t i j -> t i j c w"


def transformers_siglip(sizes: VitSizes) -> Table:
    """Of `SiglipVisionModel`; the head that pools its tokens is left out."""
    return _table(
        sizes,
        *_patch("embeddings.patch_embedding", sizes),
        Rule("embeddings.position_embedding.weight", "place"),
        *_clip_layers(),
        *norm("post_layernorm", "norm"),
        ignored=(r"head\..*", r"embeddings\.position_ids"),
    )


def transformers_clip(sizes: VitSizes) -> Table:
    """Of `CLIPVisionModel`; the layers that are not run and the last norm are left out."""
    later = "|".join(str(place) for place in range(sizes.layers.depth, sizes.layers.depth + 8))
    return _table(
        sizes,
        *_patch("embeddings.patch_embedding", sizes),
        Rule("embeddings.class_embedding", "class"),
        Rule("embeddings.position_embedding.weight", "place"),
        *norm("pre_layrnorm", "norm_in"),
        *_clip_layers(),
        ignored=(
            rf"encoder\.layers\.({later})\..*",
            r"post_layernorm\..*",
            r"embeddings\.position_ids",
        ),
    )


def _clip_layers() -> tuple[Rule, ...]:
    layer = "encoder.layers.{layer}."
    attention = layer + "self_attn."
    names = [f"{attention}{letter}_proj" for letter in "qkv"]
    return (
        *qkv(*names),
        *out(f"{attention}out_proj"),
        *norm(f"{layer}layer_norm1", "layers/attention_norm"),
        *mlp(up=f"{layer}mlp.fc1", down=f"{layer}mlp.fc2"),
        *norm(f"{layer}layer_norm2", "layers/mlp_norm"),
    )


def transformers_dinov2(sizes: VitSizes) -> Table:
    """Of `Dinov2Model` and `Dinov2WithRegistersModel`."""
    layer = "encoder.layer.{layer}."
    names = [f"{layer}attention.attention.{name}" for name in ("query", "key", "value")]
    registers = [Rule("embeddings.register_tokens", "registers", "1 n w -> n w")]
    return _table(
        sizes,
        *_patch("embeddings.patch_embeddings.projection", sizes),
        Rule("embeddings.cls_token", "class", "1 1 w -> w"),
        *registers[: min(sizes.registers, 1)],
        Rule("embeddings.position_embeddings", "place", "1 n w -> n w"),
        *qkv(*names),
        *out(f"{layer}attention.output.dense"),
        *norm(f"{layer}norm1", "layers/attention_norm"),
        Rule(f"{layer}layer_scale1.lambda1", "layers/attention_scale"),
        *mlp(up=f"{layer}mlp.fc1", down=f"{layer}mlp.fc2"),
        *norm(f"{layer}norm2", "layers/mlp_norm"),
        Rule(f"{layer}layer_scale2.lambda1", "layers/mlp_scale"),
        *norm("layernorm", "norm"),
        # Stands in for masked patches in training.
        ignored=(r"embeddings\.mask_token",),
    )


def transformers_v_jepa2(sizes: VitSizes) -> Table:
    """Of the encoder of `VJEPA2Model`."""
    layer = "encoder.layer.{layer}."
    names = [f"{layer}attention.{name}" for name in ("query", "key", "value")]
    return _table(
        sizes,
        *_patch("encoder.embeddings.patch_embeddings.proj", sizes),
        *qkv(*names),
        *out(f"{layer}attention.proj"),
        *norm(f"{layer}norm1", "layers/attention_norm"),
        *mlp(up=f"{layer}mlp.fc1", down=f"{layer}mlp.fc2"),
        *norm(f"{layer}norm2", "layers/mlp_norm"),
        *norm("encoder.layernorm", "norm"),
        ignored=(r"predictor\..*",),
    )


def wan_clip(sizes: VitSizes) -> Table:
    """Of the file that comes with Wan's own checkpoints; its text encoder is left out."""
    layer = "visual.transformer.{layer}."
    last = sizes.layers.depth
    return _table(
        sizes,
        *_patch("visual.patch_embedding", sizes),
        Rule("visual.cls_embedding", "class", "1 1 w -> w"),
        Rule("visual.pos_embedding", "place", "1 n w -> n w"),
        *norm("visual.pre_norm", "norm_in"),
        *qkv_in_one(f"{layer}attn.to_qkv"),
        *out(f"{layer}attn.proj"),
        *norm(f"{layer}norm1", "layers/attention_norm"),
        *mlp(up=f"{layer}mlp.0", down=f"{layer}mlp.2"),
        *norm(f"{layer}norm2", "layers/mlp_norm"),
        ignored=(
            rf"visual\.transformer\.{last}\..*",
            r"visual\.(post_norm\..*|head)",
            r"textual\..*",
            r"log_scale",
        ),
    )


def _patch(theirs: str, sizes: VitSizes) -> tuple[Rule, ...]:
    weight = Rule(f"{theirs}.weight", "patch/kernel", IMAGE if sizes.frames == 1 else VIDEO)
    return (weight, Rule(f"{theirs}.bias", "patch/bias")) if sizes.patch_bias else (weight,)


def _table(sizes: VitSizes, *rules: Rule, ignored: tuple[str, ...]) -> Table:
    return Table(
        rules=rules,
        counts={"layer": sizes.layers.depth},
        sizes={"h": sizes.layers.heads, "s": 3},
        ignored=ignored,
    )
