"""The original implementation of each published part, to hold ours against.

    base       a module with the weights of a checkpoint, and how far ours is from it
    video      transformers of Wan, Cosmos-Predict2 and LTX-Video (diffusers)
    codecs     autoencoders of Wan and LTX-Video (diffusers)
    text       T5, UMT5, BERT (transformers)
    sight      SigLIP, DINOv2, CLIP, V-JEPA 2 (transformers)
    pictures   Qwen3-VL, Florence-2 (transformers)

Policies built on them are of no package that installs beside ours; the tests hold them against
diffusers' blocks in their arrangement.
"""

from wamjax.pretrained.originals import codecs, pictures, sight, text, video
from wamjax.pretrained.originals.base import TOLERANCE, Module, Original, compared, missing

ORIGINALS = {
    name: original
    for module in (video, codecs, text, sight, pictures)
    for name, original in module.ORIGINALS.items()
}

__all__ = ["ORIGINALS", "TOLERANCE", "Module", "Original", "compared", "missing"]
