"""A data set at a glance: a few episodes, every camera, frames across time, the instruction.

A camera that shows nothing in any of the episodes drawn is named in the title and not drawn.
"""

import os
import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wamjax.core.errors import UserError
from wamjax.data.faults import BadRecord
from wamjax.data.files.images import is_black
from wamjax.data.files.pictures import Pictures, is_recorded, read_pictures
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.source import RawEpisode, Source, is_instruction

TILE = 112  # pixels; small frames are enlarged by whole factors
GAP = 4
GUTTER = 128
CAPTION = 30
INK, PAPER, MISSING = (20, 20, 24), (255, 255, 255), (205, 205, 210)


def contact_sheet(
    directory: str | os.PathLike,
    path: str | os.PathLike,
    *,
    split: str | None = None,
    episodes: int = 6,
    frames: int = 8,
) -> pathlib.Path:
    """Draw a PNG: one block an episode, one strip a camera, time to the right.

    Args:
        directory: of the data set.
        path: the PNG.
        split: by default "train" if there is one, else the first.
        episodes: how many, spread over the split.
        frames: how many of each, from the first to the last step.

    Raises:
        UserError: not a data set, or nothing in it can be read.
    """
    names = split_names(directory)
    source = open_source(directory, split or ("train" if "train" in names else names[0]))
    cameras = sorted(
        name.removeprefix("steps/")
        for name, feature in source.features.items()
        if feature.kind == "image" and name.startswith("steps/")
    )
    chosen = _readable(source, episodes)
    if not chosen or not cameras:
        raise UserError(f"{directory} has no readable episode with images: inspect the data.")
    missing = [camera for camera in cameras if not any(_shows(e.shown(camera)) for _, e in chosen)]
    if len(missing) < len(cameras):
        cameras = [camera for camera in cameras if camera not in missing]
    width = GUTTER + frames * (TILE + GAP) + GAP
    block = CAPTION + len(cameras) * (TILE + GAP) + 3 * GAP
    sheet = Image.new("RGB", (width, CAPTION + len(chosen) * block), PAPER)
    draw = ImageDraw.Draw(sheet)
    big, small = ImageFont.load_default(size=17), ImageFont.load_default(size=13)
    title = f"{source.description.name} {source.description.version}, split {source.split}"
    title += f": {len(source)} episodes"
    if missing:
        title += f"   (black: {', '.join(camera.split('/')[-1] for camera in missing)})"
    draw.text((GAP, 7), title, INK, big)
    for place, (number, episode) in enumerate(chosen):
        top = CAPTION + place * block
        _caption(draw, (GAP, top + 6), number, episode, width, big)
        steps = np.linspace(0, episode.length - 1, frames).round().astype(int)
        for strip, camera in enumerate(cameras):
            y = top + CAPTION + strip * (TILE + GAP)
            _strip(sheet, draw, episode, camera, steps, y, small)
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.incomplete")
    sheet.save(temporary, "PNG")
    os.replace(temporary, target)
    return target


def _readable(source: Source, wanted: int) -> list[tuple[int, RawEpisode]]:
    numbers = np.unique(np.linspace(0, len(source) - 1, wanted).round().astype(int))
    found = []
    for number in numbers.tolist():
        try:
            found.append((number, source.episode(number)))
        except (BadRecord, ValueError, IndexError):
            continue
    return found


def _shows(pictures: Pictures) -> bool:
    """Whether the first frame is a picture, or at least not known to be black."""
    (frame,) = read_pictures(pictures, [0])
    return is_recorded(pictures, 0) if frame is None else not is_black(frame)


def _caption(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    number: int,
    episode: RawEpisode,
    width: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    texts = [
        bytes(value[0]).decode("utf-8", errors="replace")
        for name, value in sorted(episode.steps.items())
        if is_instruction(name) and isinstance(value, list)
    ]
    said = f"“{texts[0]}”" if texts and texts[0] else "no instruction"
    line = f"episode {number}   {said}   {episode.length} steps"
    if "success" in episode.metadata:
        line += "   solved" if episode.metadata["success"] else "   not solved"
    while draw.textlength(line, font) > width - 2 * GAP:
        line = line[:-2] + "…"
    draw.text(at, line, INK, font)


def _strip(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    episode: RawEpisode,
    camera: str,
    steps: np.ndarray,
    y: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    name = camera.split("/")[-1].split(".")[-1]
    while draw.textlength(name, font) > GUTTER - 2 * GAP:
        name = name[: len(name) // 2 - 1] + "…" + name[len(name) // 2 + 1 :]
    draw.text((GAP, y + TILE // 2 - 16), name, INK, font)
    pictures = episode.shown(camera)
    read = read_pictures(pictures, steps.tolist())
    for column, (step, frame) in enumerate(zip(steps.tolist(), read, strict=True)):
        x = GUTTER + column * (TILE + GAP)
        if frame is None and not is_recorded(pictures, step):
            frame = np.zeros((TILE, TILE, 3), np.uint8)
        if frame is None:
            draw.rectangle((x, y, x + TILE - 1, y + TILE - 1), MISSING)
            draw.text((x + 8, y + TILE // 2 - 8), "unreadable", INK, font)
            continue
        sheet.paste(_tile(frame), (x, y))
        draw.rectangle((x, y, x + 9 + 8 * len(str(step)), y + 16), PAPER)
        draw.text((x + 3, y), str(step), INK, font)


def _tile(frame: np.ndarray) -> Image.Image:
    """The frame, aspect kept, on a square of TILE pixels."""
    picture = Image.fromarray(frame)
    scale = TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    how = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BICUBIC
    tile = Image.new("RGB", (TILE, TILE), MISSING)
    tile.paste(picture.resize(size, how), ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    return tile
