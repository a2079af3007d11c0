"""The name table of BERT and its kin in transformers' files, all-MiniLM-L6-v2 among them."""

from wamjax.codec.bert import BertSizes
from wamjax.pretrained.encoder import mlp, norm, out, qkv
from wamjax.pretrained.table import Rule, Table


def transformers_bert(sizes: BertSizes) -> Table:
    """Of `BertModel`; the pooler that follows the encoder is left out."""
    layer = "encoder.layer.{layer}."
    names = [f"{layer}attention.self.{name}" for name in ("query", "key", "value")]
    return Table(
        rules=(
            Rule("embeddings.word_embeddings.weight", "word"),
            Rule("embeddings.position_embeddings.weight", "place"),
            Rule("embeddings.token_type_embeddings.weight", "kind"),
            *norm("embeddings.LayerNorm", "norm"),
            *qkv(*names),
            *out(f"{layer}attention.output.dense"),
            *norm(f"{layer}attention.output.LayerNorm", "layers/attention_norm"),
            *mlp(up=f"{layer}intermediate.dense", down=f"{layer}output.dense"),
            *norm(f"{layer}output.LayerNorm", "layers/mlp_norm"),
        ),
        counts={"layer": sizes.layers.depth},
        sizes={"h": sizes.layers.heads},
        ignored=(r"embeddings\.position_ids", r"pooler\..*"),
    )
