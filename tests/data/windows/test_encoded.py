"""Windows with latents are the windows, encoded: whatever is drawn, masked or stored."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from tests.data.encoded_windows import CODEC, encode, make, plan_of, windows_of
from tests.data.real_mixture import place
from tests.data.sources.test_bad_data import _rewrite
from tests.data.synthetic import config, copy
from wamjax.core.errors import UserError
from wamjax.data.files import latent_format as form
from wamjax.data.normalising.statistics import MixedStatistics, compute_statistics
from wamjax.data.windows.encoded import EncodedWindows, Latents
from wamjax.data.windows.members import members_of
from wamjax.data.windows.mixture import Mixture, read_members
from wamjax.data.windows.pipeline import Loader, Numbered, Windows


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "SHARD_BYTES", 2**12)


@pytest.fixture(scope="module")
def windows(tabletop: pathlib.Path) -> Windows:
    return windows_of(tabletop, part="all")


def encoded(out: pathlib.Path, windows: Numbered, pixels: tuple[int, ...] = ()) -> EncodedWindows:
    latents = Latents(out)
    latents.refuse_others(windows, {name: CODEC[name] for name in ("kind", "views")})
    return EncodedWindows(windows, latents, pixels)


@pytest.mark.parametrize("dtype", form.DTYPES)
def test_a_batch_is_the_windows_batch_with_its_latents(
    windows: Windows, tmp_path: pathlib.Path, dtype: form.Stored
) -> None:
    make(tmp_path / "latents", windows, dtype=dtype)
    numbers = np.random.default_rng(0).permutation(np.arange(-3, len(windows)))
    whole = windows.batch(numbers)
    batch = encoded(tmp_path / "latents", windows, (1,)).batch(numbers)
    assert batch.latents.dtype == form.NUMBERS[dtype]
    np.testing.assert_array_equal(
        batch.latents, encode(whole.frames).astype(form.NUMBERS[dtype]), strict=True
    )
    np.testing.assert_array_equal(batch.frames, whole.frames[:, :, 1:2])
    jax.tree.map(
        np.testing.assert_array_equal, batch.replace(latents=None, frames=whole.frames), whole
    )


def test_no_picture_is_decoded_where_none_is_read(windows: Windows, tmp_path: pathlib.Path) -> None:
    make(tmp_path / "latents", windows)
    fresh = Windows(windows.config, windows.statistics, windows.episodes)
    loader = Loader(encoded(tmp_path / "latents", fresh), 4, 0, 1)
    batch = next(loader)
    assert batch.frames.shape == (4, 2, 0, 16, 16, 3)
    assert not fresh.frames.loaded.any()
    # The order is that of training on frames.
    same = next(Loader(windows, 4, 0, 1))
    np.testing.assert_array_equal(batch.index, same.index)
    np.testing.assert_array_equal(batch.latents, encode(same.frames))


def test_a_frame_that_cannot_be_decoded_is_masked_as_it_would_be(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    where = copy(tabletop, tmp_path / "data")

    def spoil(flat: dict) -> None:
        images = flat["steps/observation/image"]
        images[2] = images[2][:60]

    _rewrite(where / "tabletop-train.tfrecord-00000-of-00004", 0, spoil)
    windows = windows_of(where, part="all", bad_budget=0.01)
    make(tmp_path / "latents", windows)
    numbers = np.arange(len(windows))
    fresh = windows_of(where, part="all", bad_budget=0.01)
    found = encoded(tmp_path / "latents", fresh).batch(numbers)
    wanted = windows.batch(numbers)
    assert (~wanted.frame_mask & (numbers < 6)[:, None]).sum() > 0
    np.testing.assert_array_equal(found.frame_mask, wanted.frame_mask)
    np.testing.assert_array_equal(found.latents, encode(wanted.frames))


@pytest.mark.slow
def test_a_mixture_is_encoded_as_it_is_mixed(
    shared_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    settings = place(shared_data, tmp_path)
    settings = dataclasses.replace(settings, history=2, future=2)
    tables = read_members(settings)
    members = {m.name: compute_statistics(m.config, tables[m.name]) for m in members_of(settings)}
    mixture = Mixture(settings, MixedStatistics(members), tables)
    make(tmp_path / "latents", mixture)
    numbers = np.random.default_rng(0).integers(-1, len(mixture), 40)
    whole = mixture.batch(numbers)
    batch = encoded(tmp_path / "latents", mixture).batch(numbers)
    assert batch.frames.shape[2] == 0
    np.testing.assert_array_equal(batch.latents, encode(whole.frames))
    jax.tree.map(
        np.testing.assert_array_equal, batch.replace(latents=None, frames=whole.frames), whole
    )
    # Another weight is another order of the same windows.
    file = tmp_path / "mixtures.toml"
    file.write_text(file.read_text().replace("droid_five = 0.5", "droid_five = 0.75"))
    other = Mixture(settings, MixedStatistics(members), tables)
    assert other.seen() == mixture.seen()
    assert other.fingerprint() != mixture.fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 3},
        {"chunk": 3},
        {"action_norm": "zscore"},
        {"proprio_norm": "identity"},
        {"gripper_dim": None},
        {"text_length": 9},
        {"past_actions": 2},
        {"value_discount": 0.9},
        {"proprio_key": None, "proprio_width": 3},
        {"cache_bytes": 0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_no_frame_depends_on_may_change(
    tabletop: pathlib.Path, windows: Windows, changes: dict
) -> None:
    assert windows_of(tabletop, part="all", **changes).seen() == windows.seen()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"history": 1, "future": 3}, r"frames\.future: 2 there, 3 here; frames\.history: 2 there"),
        ({"frame_stride": 2}, r"frames\.frame_stride: 4 there, 2 here"),
        ({"history_stride": 3}, r"frames\.history_stride: None there, 3 here"),
        ({"image_size": 8}, r"frames\.image_size: 16 there, 8 here"),
        ({"cameras": ("wrist_image", "image")}, r"frames\.cameras: \['image', 'wrist_image'\]"),
        ({"part": "train"}, r"frames\.part: all there, train here; .*windows: \d+ there, \d+ here"),
        ({"holdout": 0.5}, r"frames\.holdout: 0.25 there, 0.5 here"),
        ({"every": 2, "action_key": None, "action_width": 7}, r"frames\.every: None there, 2 here"),
        ({"only_solved": True}, r"frames\.only_solved: False there, True here"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_latents_of_other_frames_are_refused(
    tabletop: pathlib.Path, windows: Windows, tmp_path: pathlib.Path, changes: dict, told: str
) -> None:
    make(tmp_path / "latents", windows)
    with pytest.raises(UserError, match=f"not those of this run .*{told}.*: encode its windows"):
        encoded(tmp_path / "latents", windows_of(tabletop, **({"part": "all"} | changes)))


def test_latents_of_other_files_or_of_another_codec_are_refused(
    tabletop: pathlib.Path, windows: Windows, tmp_path: pathlib.Path
) -> None:
    make(tmp_path / "latents", windows)
    latents = Latents(tmp_path / "latents")
    with pytest.raises(UserError, match=r"codec\.kind: Made up there, Other here"):
        latents.refuse_others(windows, {"kind": "Other", "views": 1})
    where = copy(tabletop, tmp_path / "data")

    def later(flat: dict) -> None:
        flat["steps/action"][0] += 1

    _rewrite(where / "tabletop-train.tfrecord-00000-of-00004", 0, later)
    with pytest.raises(UserError, match=r"frames\.index: \w+ there, \w+ here"):
        latents.refuse_others(windows_of(where, part="all"), {"kind": "Made up", "views": 1})


def test_the_data_state_tells_the_latents(windows: Windows, tmp_path: pathlib.Path) -> None:
    make(tmp_path / "one", windows)
    make(tmp_path / "two", windows, dtype="float16")
    state = Loader(encoded(tmp_path / "one", windows), 4, 0, 1).state()
    Loader(encoded(tmp_path / "one", windows), 4, 0, 1).restore(state)
    with pytest.raises(UserError, match=r"latents\.dtype: float32 there, float16 here"):
        Loader(encoded(tmp_path / "two", windows), 4, 0, 1).restore(state)
    with pytest.raises(UserError, match=r"latents: .* there, absent here"):
        Loader(windows, 4, 0, 1).restore(state)


def test_more_shards_than_are_mapped_at_a_time(
    windows: Windows, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wamjax.data.windows.encoded.OPEN", 2)
    make(tmp_path / "latents", windows)
    assert plan_of(windows).shards > 4
    found = encoded(tmp_path / "latents", windows)
    numbers = np.random.default_rng(1).integers(0, len(windows), 200)
    wanted = encode(windows.batch(numbers).frames)
    np.testing.assert_array_equal(found.latents.gather(numbers), wanted)
    assert len(found.latents._maps) == 2


def test_settings_without_latents_are_as_before(tabletop: pathlib.Path) -> None:
    assert config(tabletop).latents is None
    assert "latents" not in windows_of(tabletop).fingerprint()["config"]
