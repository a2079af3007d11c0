"""Pictures: the fast way of JPEG is PIL's, whole and damaged."""

import io

import numpy as np
import pytest
from PIL import Image

from wamjax.data.files import images
from wamjax.data.files.images import decode, decode_each, decode_into, encode, sized

SIZES = ((32, 48), (33, 47), (7, 5))
# Quality, chroma subsampling, colours, progressive.
KINDS = (
    (75, 2, "RGB", False), (95, 0, "RGB", False), (90, 1, "RGB", True), (85, -1, "L", False),
    (75, -1, "CMYK", False),
)  # fmt: skip


def by_pil(data: bytes, size: int | None = None) -> np.ndarray | None:
    """None for what PIL refuses."""
    try:
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as opened:
            return sized(opened.convert("RGB"), size)
    except Exception:
        return None


def jpegs() -> list[bytes]:
    draw, out = np.random.default_rng(0), []
    for height, width in SIZES:
        frame = Image.fromarray(draw.integers(0, 256, (9, 9, 3)).astype(np.uint8))
        frame = frame.resize((width, height))
        for quality, chroma, colours, progressive in KINDS:
            file = io.BytesIO()
            frame.convert(colours).save(
                file, "JPEG", quality=quality, subsampling=chroma, progressive=progressive
            )
            out.append(file.getvalue())
    return out


@pytest.mark.parametrize("size", [None, 16])
def test_jpegs_are_decoded_to_pil_s_numbers(size):
    for data in jpegs():
        np.testing.assert_array_equal(decode(data, size), by_pil(data, size))


@pytest.mark.parametrize("size", [8, 32])
def test_a_picture_is_decoded_into_its_place(size):
    """A square one of its own size directly, others resized; what is no picture is told."""
    place = np.zeros((3, size, size, 3), np.uint8)
    for data in [*jpegs(), encode(np.full((size, size, 3), 90, np.uint8), "jpeg", 90)]:
        place[:] = 7
        assert decode_into(data, place[1])
        np.testing.assert_array_equal(place[1], by_pil(data, size))
        assert (place[[0, 2]] == 7).all()
    assert not decode_into(b"no picture", place[1])


def test_only_what_is_plain_takes_the_fast_way():
    fast = [images._jpeg(data) is not None for data in jpegs()]
    assert fast == [colours != "CMYK" for _, _, colours, _ in KINDS] * len(SIZES)


@pytest.mark.filterwarnings("ignore")
def test_damaged_jpegs_are_decoded_or_refused_as_by_pil():
    draw, seen = np.random.default_rng(1), {True: 0, False: 0}
    for data in jpegs():
        for _ in range(40):
            broken = bytearray(data)
            hits = int(draw.integers(4))
            for _ in range(hits):
                broken[draw.integers(len(broken))] = draw.integers(256)
            if not hits:
                broken = broken[: draw.integers(len(broken))]
            (ours,), theirs = decode_each([bytes(broken)]), by_pil(bytes(broken))
            seen[theirs is None] += 1
            if theirs is None:
                assert ours is None
            else:
                np.testing.assert_array_equal(ours, theirs)
    assert min(seen.values()) > 100


def test_a_picture_that_claims_too_much_is_not_decoded(monkeypatch):
    monkeypatch.setattr(images, "LARGEST", 32 * 48 - 1)
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode(jpegs()[0])
