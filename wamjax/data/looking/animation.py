"""The cameras of one episode as animated WebP pictures that stay below a number of bytes.

All cameras show the same steps in the same rhythm, so that they run side by side. If the bytes do
not suffice, fewer steps are shown, then smaller ones.
"""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image, ImageDraw

from wamjax.data.files.images import is_black
from wamjax.data.files.pictures import is_recorded, read_pictures
from wamjax.data.files.video import Video
from wamjax.data.sources.source import RawEpisode

ASSUMED_HZ = 10.0  # where the rate was not recorded
LARGEST_SIDE = 320  # pixels
SMALLEST_SIDE = 64
MOST_FRAMES = 120
TOGETHER = 128  # frames in memory at once
MISSING = (205, 205, 210)


@dataclasses.dataclass(frozen=True)
class Camera:
    """One camera over the episode.

    Attributes:
        name: the feature, without "steps/".
        width, height: recorded pixels; zero where no frame could be decoded.
        shown: (width, height) of the animation.
        empty, black, broken: steps without bytes, with nothing to be seen, that are undecodable.
        picture: `data:image/webp;base64,...`; "" where there is nothing to show.
    """

    name: str
    width: int
    height: int
    shown: tuple[int, int]
    empty: int
    black: int
    broken: tuple[int, ...]
    picture: str


@dataclasses.dataclass(frozen=True)
class Animation:
    """All cameras.

    Attributes:
        cameras: in the order of their names.
        every: steps from one picture to the next.
        frames: pictures a camera.
        hz: steps a second at which it is played.
    """

    cameras: tuple[Camera, ...]
    every: int
    frames: int
    hz: float


def animate(
    episode: RawEpisode, cameras: list[str], control_hz: float | None, limit: int
) -> Animation:
    """Animate `cameras` in at most `limit` bytes of page, as long as small pictures allow it.

    Args:
        episode: encoded.
        cameras: image features without "steps/".
        control_hz: as recorded; None plays at ASSUMED_HZ.
        limit: bytes of all data URIs together.
    """
    every = -(-episode.length // MOST_FRAMES)
    seen = [_look(episode, name, every) for name in cameras]
    hz = ASSUMED_HZ if control_hz is None else control_hz
    side, skip = LARGEST_SIDE, 1
    while True:
        made = tuple(_made(one, skip, side, every * skip / hz) for one in seen)
        frames = -(-episode.length // (every * skip))
        enough = sum(len(camera.picture) for camera in made) <= limit
        if enough or (frames == 1 and side <= SMALLEST_SIDE):
            return Animation(made, every * skip, frames, hz)
        # Bytes go with the number of frames; most of them are given up before pixels are.
        if frames > MOST_FRAMES // 4 or side <= SMALLEST_SIDE:
            skip *= 2
        else:
            side = max(SMALLEST_SIDE, int(side * 0.7))


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A camera decoded; tiles are None where there is no frame to show."""

    name: str
    size: tuple[int, int]
    empty: int
    black: int
    broken: tuple[int, ...]
    tiles: list[Image.Image | None]


def _look(episode: RawEpisode, name: str, every: int) -> _Seen:
    tiles: list[Image.Image | None] = []
    broken: list[int] = []
    size, empty, black = (0, 0), 0, 0
    pictures = episode.shown(name)
    # Of a video the steps that are shown; encoded images are looked at one by one.
    apart = range(0, episode.length, every if isinstance(pictures, Video) else 1)
    for start in range(0, len(apart), TOGETHER):
        together = apart[start : start + TOGETHER]
        for t, frame in zip(together, read_pictures(pictures, together), strict=True):
            tile = None
            if frame is None and is_recorded(pictures, t):
                broken.append(t)
            elif frame is None:
                empty += 1
            else:
                size = (frame.shape[1], frame.shape[0])
                black += is_black(frame)
                tile = _smaller(Image.fromarray(frame), LARGEST_SIDE) if t % every == 0 else None
            if t % every == 0:
                tiles.append(tile)
    return _Seen(name, size, empty, black, tuple(broken), tiles)


def _made(seen: _Seen, skip: int, side: int, seconds: float) -> Camera:
    tiles = [None if tile is None else _smaller(tile, side) for tile in seen.tiles[::skip]]
    shown = next((tile.size for tile in tiles if tile is not None), (0, 0))
    picture = ""
    if any(tile is not None and not is_black(np.asarray(tile)) for tile in tiles):
        picture = _webp([_fitted(tile, shown) for tile in tiles], seconds)
    return Camera(seen.name, *seen.size, shown, seen.empty, seen.black, seen.broken, picture)


def _smaller(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _fitted(tile: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    """The tile in the animation's size; a crossed grey one in the place of what is missing."""
    if tile is not None:
        return tile if tile.size == size else tile.resize(size, Image.Resampling.BILINEAR)
    blank = Image.new("RGB", size, MISSING)
    draw = ImageDraw.Draw(blank)
    draw.line((0, 0, *size), (120, 120, 125))
    draw.line((0, size[1], size[0], 0), (120, 120, 125))
    return blank


def _webp(tiles: list[Image.Image], seconds: float) -> str:
    file = io.BytesIO()
    tiles[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=tiles[1:],
        duration=max(1, round(1000 * seconds)),
        loop=0,
        quality=75,
        method=2,
    )
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
