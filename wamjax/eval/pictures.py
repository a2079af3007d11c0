"""Arrays as pictures inside a page: PNG bytes in a data URI, nothing to load from elsewhere."""

import base64
import io

import numpy as np
from PIL import Image

from wamjax.core.typing import UInt8, typed


@typed
def data_uri(picture: UInt8[np.ndarray, "H W 3"], colours: int | None = None) -> str:
    """A PNG as `data:image/png;base64,...`.

    Args:
        picture: what to store.
        colours: palette size, 2 ... 256, which makes large pictures about three times smaller;
            None keeps every pixel exactly.
    """
    image = Image.fromarray(picture)
    if colours is not None:
        image = image.quantize(colours, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
