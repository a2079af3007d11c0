"""Whose weights they are: the licence of every weight family, which travels with what is made.

As the publishers tell on the page that is named; no advice, and pages change: read them. Whatever
is not known to allow every use, also for money, has to be accepted by `--accept-licence`.
"""

import dataclasses
from collections.abc import Mapping

from wamjax.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Licence:
    """The terms of weights.

    Attributes:
        name: of the licence.
        page: where its publisher tells.
        commercial: whether use for money is known to be allowed.
    """

    name: str
    page: str
    commercial: bool


APACHE, MIT, GEMMA = "Apache-2.0", "MIT", "Gemma Terms of Use"
NVIDIA = "NVIDIA Open Model License"
UNKNOWN = "terms that are not known here"
HUB, CODE = "https://huggingface.co/", "https://github.com/"

LICENCES: Mapping[str, Licence] = {
    "wan": Licence(APACHE, HUB + "Wan-AI", True),
    "cosmos": Licence(NVIDIA, HUB + "nvidia/Cosmos-Predict2-2B-Video2World", True),
    "ltx": Licence("LTX-Video Open Weights License", HUB + "Lightricks/LTX-Video", False),
    "paligemma": Licence(GEMMA, "https://ai.google.dev/gemma/terms", True),
    "openpi": Licence(GEMMA, CODE + "Physical-Intelligence/openpi", True),
    "v-jepa2": Licence(MIT, HUB + "facebook/vjepa2-vitl-fpc64-256", True),
    "dinov2": Licence(APACHE, HUB + "facebook/dinov2-base", True),
    "siglip": Licence(APACHE, HUB + "google/siglip-so400m-patch14-224", True),
    "clip-vit-h": Licence(MIT, HUB + "laion/CLIP-ViT-H-14-frozen-xlm-roberta-large", True),
    "umt5": Licence(APACHE, HUB + "google/umt5-xxl", True),
    "t5": Licence(APACHE, HUB + "google/t5-v1_1-xxl", True),
    "minilm": Licence(APACHE, HUB + "sentence-transformers/all-MiniLM-L6-v2", True),
    "qwen3-vl": Licence(APACHE, HUB + "Qwen/Qwen3-VL-2B-Instruct", True),
    "florence-2": Licence(MIT, HUB + "microsoft/Florence-2-large", True),
    "fast-wam": Licence(MIT, CODE + "yuantianyuan01/FastWAM", True),
    "lingbot-va": Licence(UNKNOWN, CODE + "Robbyant/lingbot-va", False),
    "dreamzero": Licence(UNKNOWN, CODE + "dreamzero0/dreamzero", False),
    "motus": Licence(UNKNOWN, CODE + "thu-ml/Motus", False),
    "cosmos-policy": Licence(UNKNOWN, CODE + "NVlabs/cosmos-policy", False),
    "ge-act": Licence("CC BY-NC-SA 4.0", CODE + "AgibotTech/Genie-Envisioner", False),
}
"""Weights -> licence; families name one of these keys."""


def accepted(key: str, yes: bool) -> Licence:
    """The licence of weights that may be converted.

    Args:
        key: of `LICENCES`.
        yes: the user accepts what is not known to allow every use.

    Raises:
        UserError: it is not, and was not accepted.
    """
    licence = LICENCES[key]
    if not licence.commercial and not yes:
        raise UserError(
            f"these weights stand under {licence.name}, which may not allow your use: read "
            f"{licence.page}, then give --accept-licence."
        )
    return licence
