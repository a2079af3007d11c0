"""Latents to velocities: segments, visibility, blocks, experts and the transformer."""

from wamjax.model.config import WamConfig as WamConfig
from wamjax.model.layout import Layout as Layout
from wamjax.model.segments import Segment as Segment
from wamjax.model.tokens import Tokens as Tokens
from wamjax.model.visibility import visibility_mask as visibility_mask
from wamjax.model.wam import Wam as Wam
