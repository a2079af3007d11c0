"""The name table of BERT and its kin in transformers' files, all-MiniLM-L6-v2 among them."""

from wamjax.codec.bert import BertSizes
from wamjax.pretrained.table import Rule, Table

QKV = "(h d) w -> w h d"
QKV_BIAS = "(h d) -> h d"
ACROSS = "o i -> i o"


def transformers_bert(sizes: BertSizes) -> Table:
    """Of `BertModel`; the pooler that follows the encoder is left out."""
    layer = "encoder.layer.{layer}."
    attention = layer + "attention.self."
    return Table(
        rules=(
            Rule("embeddings.word_embeddings.weight", "word"),
            Rule("embeddings.position_embeddings.weight", "place"),
            Rule("embeddings.token_type_embeddings.weight", "kind"),
            *_norm("embeddings.LayerNorm", "norm"),
            *(
                rule
                for place, name in enumerate(("query", "key", "value"))
                for rule in (
                    Rule(f"{attention}{name}.weight", "layers/qkv/kernel", QKV, slot=(1, place)),
                    Rule(f"{attention}{name}.bias", "layers/qkv/bias", QKV_BIAS, slot=(0, place)),
                )
            ),
            Rule(f"{layer}attention.output.dense.weight", "layers/out/kernel", "w (h d) -> h d w"),
            Rule(f"{layer}attention.output.dense.bias", "layers/out/bias"),
            *_norm(f"{layer}attention.output.LayerNorm", "layers/attention_norm"),
            Rule(f"{layer}intermediate.dense.weight", "layers/up/kernel", ACROSS),
            Rule(f"{layer}intermediate.dense.bias", "layers/up/bias"),
            Rule(f"{layer}output.dense.weight", "layers/down/kernel", ACROSS),
            Rule(f"{layer}output.dense.bias", "layers/down/bias"),
            *_norm(f"{layer}output.LayerNorm", "layers/mlp_norm"),
        ),
        counts={"layer": sizes.layers.depth},
        sizes={"h": sizes.layers.heads},
        ignored=(r"embeddings\.position_ids", r"pooler\..*"),
    )


def _norm(theirs: str, ours: str) -> tuple[Rule, Rule]:
    return Rule(f"{theirs}.weight", f"{ours}/scale"), Rule(f"{theirs}.bias", f"{ours}/bias")
