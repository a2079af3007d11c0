"""One episode as a page: everything that was recorded is on it, and nothing that could run."""

import base64
import html.parser
import io
import json
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from tests.data.synthetic import LENGTHS, copy, episode
from wamjax.core.errors import UserError
from wamjax.data.files import example, tfrecord
from wamjax.data.looking.animation import animate
from wamjax.data.looking.episode_page import episode_values, open_episode, plots
from wamjax.data.looking.sparkline import line
from wamjax.data.writing.rlds import write_rlds
from wamjax.eval.report import page

FIRST = "tabletop-train.tfrecord-00000-of-00004"


class Reader(html.parser.HTMLParser):
    """Tags that are open, and what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith("data:"):
                self.outside.append(f"{name}={value}")
            if name.startswith("on"):
                self.outside.append(name)


def drawn(directory: pathlib.Path, number: int, **options) -> str:
    values = episode_values(directory, number, **options)
    return page("episode.html.j2", {**values, "command": "wamjax data look"})


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def rewrite(directory: pathlib.Path, number: int, **changes) -> None:
    """Change features of an episode of the first shard; None removes one."""
    path = directory / FIRST
    payloads = [r.payload for r in tfrecord.scan(path) if isinstance(r, tfrecord.Record)]
    flat = example.decode(payloads[number])
    for name, value in changes.items():
        key = f"steps/{name.replace('__', '/')}"
        if value is None:
            del flat[key]
        else:
            flat[key] = value
    payloads[number] = example.encode(flat)
    with tfrecord.Writer(path) as writer:
        for payload in payloads:
            writer.write(payload)


def animation(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def test_every_dimension_and_camera_is_on_the_page(tabletop: pathlib.Path) -> None:
    text = drawn(tabletop, 2)
    for dim in range(7):
        assert f"<span>action {dim}</span>" in text
        assert f"<span>state {dim}</span>" in text
    reader = read(text)
    assert reader.tags.count("img") == 2
    assert reader.outside == []
    assert "script" not in reader.tags
    assert reader.tags.count("polyline") == 14
    for told in ("reach the red cube", "12 steps", "10 Hz", "1.1 s", "always 0", "episode_id"):
        assert told in text, told
    # The last action is undefined: one ring in each of its seven plots.
    assert text.count('class="ring"') == 7
    assert "action is constant in dimensions [3] of 7" in text


def test_the_animation_has_the_recorded_frames(tabletop: pathlib.Path) -> None:
    _, raw = open_episode(tabletop, 2, None)
    shown = animate(raw, ["observation/image", "observation/wrist_image"], 10.0, 10**6)
    assert (shown.every, shown.frames, shown.hz) == (1, 12, 10.0)
    for camera, name in zip(shown.cameras, ("primary", "wrist"), strict=True):
        picture = animation(camera.picture)
        assert (picture.n_frames, picture.info["loop"]) == (12, 0)  # type: ignore[attr-defined]
        for t in range(12):
            picture.seek(t)
            found = np.asarray(picture.convert("RGB"), np.float64)
            recorded = episode(2, 12).frames[name][t].astype(np.float64)
            # Lossy, but of this step and no other.
            errors = [np.abs(found - f).mean() for f in episode(2, 12).frames[name]]
            assert int(np.argmin(errors)) == t
            assert found.shape == recorded.shape


def test_a_long_episode_stays_within_its_bytes(tmp_path: pathlib.Path) -> None:
    made = episode(0, 240, 40)
    where = write_rlds(tmp_path, "long", "1.0.0", [made])
    full = episode_values(where, 0)
    assert full["rhythm"] == "120 frames, one step of 2, played at 10 steps a second, as recorded."
    less = episode_values(where, 0, picture_bytes=60_000)
    for values, limit in ((full, 3_800_000), (less, 60_000)):
        assert sum(len(camera["picture"]) for camera in values["cameras"]) <= limit
    assert less["cameras"][0]["picture"]
    assert len(page("episode.html.j2", {**full, "command": ""})) < 5_000_000


def test_texts_are_escaped(tmp_path: pathlib.Path) -> None:
    bad = "<script>alert('1')</script> & \"co\""
    made = episode(0, 4)
    made = type(made)(**{**made.__dict__, "instruction": bad, "metadata": {"note": bad, "n": 1}})
    where = write_rlds(tmp_path, "odd", "1.0.0", [made])
    text = drawn(where, 0)
    reader = read(text)
    assert "script" not in reader.tags
    assert reader.outside == []
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 3


def test_black_missing_and_broken_cameras(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = copy(tabletop, tmp_path / "data")
    black = io.BytesIO()
    Image.new("RGB", (16, 16)).save(black, "PNG")
    rewrite(where, 0, observation__image=[black.getvalue()] * 7, observation__wrist_image=None)
    rewrite(where, 2, observation__image=[b"x"] * 3 + [black.getvalue()] * 2 + [b""] * 7)
    values = episode_values(where, 0)
    assert [camera["picture"] for camera in values["cameras"]] == ["", ""]
    assert "observation/image shows nothing: a missing camera" in values["suspicious"]
    assert values["rhythm"] == ""
    assert read(drawn(where, 0)).tags.count("img") == 0
    values = episode_values(where, 2)
    assert "observation/image shows nothing in 9 of 12 frames" in values["suspicious"]
    assert (
        "observation/image cannot be decoded at 3 steps, the first is step 0"
        in values["suspicious"]
    )
    assert values["cameras"][1]["picture"]


def test_no_actions_no_texts_no_cameras(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = copy(tabletop, tmp_path / "data")
    schema = json.loads((where / "features.json").read_text())
    steps = schema["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"]
    for name in ("action", "language_instruction", "reward", "is_first"):
        del steps["features"][name]
    cameras = steps["features"]["observation"]["featuresDict"]["features"]
    del cameras["image"], cameras["wrist_image"]
    (where / "features.json").write_text(json.dumps(schema))
    text = drawn(where, 4)
    assert "No instruction." in text
    assert "<h2>Cameras</h2>" not in text
    assert "<span>state 6</span>" in text
    assert "<span>action" not in text


def test_changing_texts_and_numbers_that_are_none(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    where = copy(tabletop, tmp_path / "data")
    actions = np.array(episode(2, 12).actions, np.float32)
    actions[5, 1] = np.nan
    words = [b"one"] * 4 + [b"two"] * 7 + [b"caf\xe9"]
    rewrite(where, 2, action=actions.ravel(), language_instruction=words)
    values = episode_values(where, 2)
    assert values["texts"][0]["spans"] == [
        ("steps 0 to 3", "one"), ("steps 4 to 10", "two"), ("step 11", "caf\ufffd"),
    ]  # fmt: skip
    for told in (
        "language_instruction changes 2 times within the episode",
        "language_instruction at step 11 is not UTF-8",
        "action is NaN or infinite at 1 steps, the first is step 5",
    ):
        assert told in values["suspicious"]
    source, raw = open_episode(where, 2, "train")
    second = plots(source, raw, 10.0, True)[0].lines[1]
    assert second.note == "1 not finite (red)"
    assert second.svg.count("<polyline") == 2  # a gap, not a bridge


def test_a_line_keeps_its_peaks() -> None:
    """Thinning loses neither the lowest nor the highest value; a short one is drawn as it is."""
    values = np.zeros(100_000)
    values[54_321], values[54_322] = 7.0, -3.0
    drawn_line = line("x", values, np.ones(len(values), bool), None)
    assert drawn_line.span == "-3 to 7"
    heights = [float(y) for y in re.findall(r",([\d.]+)", drawn_line.svg)]
    assert (min(heights), max(heights)) == (5.0, 59.0)
    assert len(drawn_line.svg) < 8000
    short = line("x", np.array([0.0, 1.0, 0.5]), np.ones(3, bool), 10.0)
    assert 'points="5.0,59.0 150.0,5.0 295.0,32.0"' in short.svg
    assert line("x", np.full(4, 0.25), np.ones(4, bool), None).span == "always 0.25"
    assert line("x", np.zeros(1), np.zeros(1, bool), None).span == "no number"


def test_what_is_wrong_is_one_sentence(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    total = len(LENGTHS)
    for number in (-1, total):
        with pytest.raises(UserError, match=rf"no episode {number} in split 'train' .* {total} "):
            episode_values(tabletop, number)
    with pytest.raises(UserError, match="no split 'test': choose one of train"):
        episode_values(tabletop, 0, split="test")
    where = copy(tabletop, tmp_path / "data")
    shard = where / FIRST
    offsets = tfrecord.index(shard)
    data = bytearray(shard.read_bytes())
    data[offsets[1] + 40] ^= 1
    shard.write_bytes(data[: offsets[3] + 20])
    with pytest.raises(UserError, match=rf"Episode 1 .*{FIRST} at byte {offsets[1]}: .*checksum"):
        episode_values(where, 1)
    with pytest.raises(UserError, match=rf"Episode 3 .*{FIRST} at byte {offsets[3]}: .*cut off"):
        episode_values(where, 3)
    # What stands before the break can still be looked at.
    assert episode_values(where, 2)["facts"][0][1] == "12 steps"
    shard.write_bytes(data[: offsets[3]])
    with pytest.raises(UserError, match="ends after 3 of 4"):
        episode_values(where, 3)


def test_the_real_bridge_sample(bridge_directory: pathlib.Path) -> None:
    values = episode_values(bridge_directory, 3, split="val")
    assert [bool(camera["picture"]) for camera in values["cameras"]] == [True, True, True, False]
    told = "\n".join(values["suspicious"])
    for defect in (
        "observation/image_3 shows nothing: a missing camera",
        "has_image_0 is false but observation/image_0 has a picture",
        "is_last is not set: the episode was cut short",
        "reward is always zero",
    ):
        assert defect in told
    assert read(drawn(bridge_directory, 3)).outside == []
