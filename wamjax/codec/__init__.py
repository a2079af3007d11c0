"""Codecs: frames to latents and back, instructions, frames and changes to tokens."""

from wamjax.codec.autoencoder import Autoencoder as Autoencoder
from wamjax.codec.autoencoder import reconstruction_loss as reconstruction_loss
from wamjax.codec.base import VideoCodec as VideoCodec
from wamjax.codec.keypoints import KeypointEncoder as KeypointEncoder
from wamjax.codec.keypoints import Localiser as Localiser
from wamjax.codec.latent_action import LatentActions as LatentActions
from wamjax.codec.latent_action import dynamics_loss as dynamics_loss
from wamjax.codec.ltx_vae import LTXVAE as LTXVAE
from wamjax.codec.patch import PatchCodec as PatchCodec
from wamjax.codec.quantise import VectorQuantiser as VectorQuantiser
from wamjax.codec.text import TextEncoder as TextEncoder
from wamjax.codec.tiling import Tiled as Tiled
from wamjax.codec.wan_vae import WanVAE as WanVAE
