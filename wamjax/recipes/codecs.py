"""The video codec that a config names, and which of them are published ones."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from wamjax.codec.autoencoder import Autoencoder
from wamjax.codec.ltx_vae import LTXVAE
from wamjax.codec.patch import PatchCodec
from wamjax.codec.wan_sizes import WAN21, WAN22
from wamjax.codec.wan_vae import WanVAE
from wamjax.recipes.config import CodecConfig

PublishedCodec = WanVAE | LTXVAE
AnyCodec = PatchCodec | Autoencoder | PublishedCodec

CODECS: Mapping[str, Callable[[CodecConfig], AnyCodec]] = MappingProxyType(
    {
        "patch": lambda c: PatchCodec(patch=c.patch, temporal=c.temporal),
        "autoencoder": lambda c: Autoencoder(
            channels=c.channels, width=c.width, temporal=c.temporal
        ),
        "wan21": lambda c: WAN21,
        "wan22": lambda c: WAN22,
        "ltx": lambda c: LTXVAE(),
    }
)


def codec_of(config: CodecConfig) -> AnyCodec:
    """See the table."""
    return CODECS[config.kind](config)
