"""Of several instructions each window is told one that says something, the same one always.

The draws are those of SplitMix64, whose first numbers from 1234567 are known (rosettacode.org,
Pseudo-random numbers/Splitmix64); here they are drawn one after the other, in Python's integers.
"""

import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.data.stores import make
from tests.data.synthetic import LENGTHS, config, episodes
from wamjax.core.text import decode_text
from wamjax.data import Loader, Windows, compute_statistics, read_episodes, write_rlds
from wamjax.data.windows.instructions import instruction_of, split_mix
from wamjax.data.writing import rlds

KEYS = ("language_instruction", "language_instruction_2", "language_instruction_3")
CARD = pathlib.Path(__file__).resolve().parents[3] / "data" / "cards" / "tabletop.toml"
KNOWN = (
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
    16408922859458223821,
)  # fmt: skip


def outputs(state: int) -> Iterator[int]:
    """SplitMix64, one number after the other."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        yield z ^ (z >> 31)


def words(number: int, t: int) -> tuple[str, str, str]:
    """What the three columns say at a step; which of them are empty changes within episodes."""
    said = (number + t // 3) % 8
    texts = (f"reach {number}", f"touch {number} at {t}", f"go to {number}")
    return tuple(text if said >> place & 1 else "" for place, text in enumerate(texts))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The made-up episodes with three columns of texts."""
    features, flat = rlds._features, rlds._flat

    def more_features(episode: Any) -> tfds.features.FeaturesDict:
        made = features(episode)
        step = {name: made["steps"].feature[name] for name in made["steps"].feature}
        step |= {key: tfds.features.Text() for key in KEYS}
        return tfds.features.FeaturesDict(
            {**{name: made[name] for name in made}, "steps": tfds.features.Dataset(step)}
        )

    def more(episode: Any, number: int) -> dict[str, Any]:
        told = [words(number, t) for t in range(len(episode.actions))]
        columns = zip(KEYS, zip(*told, strict=True), strict=True)
        texts = {f"steps/{key}": [text.encode() for text in column] for key, column in columns}
        return flat(episode, number) | texts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rlds, "_features", more_features)
        patch.setattr(rlds, "_flat", more)
        out = tmp_path_factory.mktemp("three")
        return write_rlds(out, "three", "1.0.0", episodes(), shard_episodes=4)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    text = CARD.read_text()
    text = text.replace('= "language_instruction"', f"= {list(KEYS)}".replace("'", '"'))
    raw = "\n".join(f'"{key}" = "text"' for key in KEYS)
    path = tmp_path_factory.mktemp("card") / "three.toml"
    path.write_text(text.replace('"language_instruction" = "text"', raw))
    return str(path)


def windows_of(directory: pathlib.Path, card: str, **changes: Any) -> Windows:
    values = {"card": card, "cameras": ("primary",), "holdout": 0.0, **changes}
    given = config(directory, **values)
    table = read_episodes(given)
    return Windows(given, compute_statistics(given, table), table)


def told(windows: Windows) -> list[str]:
    batch = windows.batch(np.arange(len(windows)))
    return [decode_text(text) for text in batch.text]


def test_the_draws_are_split_mix_s() -> None:
    state = np.full(5, 1234567, np.uint64)
    assert split_mix(state, np.arange(5)).tolist() == list(KNOWN)
    assert list(itertools.islice(outputs(1234567), 5)) == list(KNOWN)


@pytest.mark.parametrize(("seed", "every"), [(0, None), (7, None), (0, 2)])
def test_a_window_is_told_what_its_step_s_draw_says(directory, card, seed, every) -> None:
    windows = windows_of(directory, card, seed=seed, every=every)
    expected = []
    for number, length in enumerate(LENGTHS):
        content = windows.episodes.contents[number]
        digest = hashlib.blake2b(f"{seed} {content}".encode(), digest_size=8).digest()
        draws = list(itertools.islice(outputs(int.from_bytes(digest, "little")), length))
        for t in range(0, length, every or 1):
            said = [text for text in words(number, t) if text]
            expected.append(said[draws[t] % len(said)] if said else "")
    starts = windows.index.row
    assert told(windows) == [expected[row] for row in starts]
    assert "" in expected


def test_batches_and_hosts_change_nothing_and_the_seed_all(directory, card) -> None:
    windows = windows_of(directory, card)
    alone = told(windows)
    seen: dict[int, str] = {}
    for hosts, host in ((1, 0), (2, 0), (2, 1)):
        loader = Loader(windows, 4, host, hosts)
        for _ in range(2 * len(windows) // 4):
            batch = next(loader)
            seen |= {
                int(n): decode_text(text) for n, text in zip(batch.index, batch.text, strict=True)
            }
    assert [seen[n] for n in range(len(windows))] == alone
    assert told(windows_of(directory, card, seed=1)) != alone


def test_each_of_three_is_told_to_a_third_of_many_steps(directory, card) -> None:
    table = windows_of(directory, card).episodes
    many = 30_000
    one = dataclasses.replace(
        table, contents=("0f" * 16,), starts=np.array([0, many]), recorded=np.arange(many),
        text=np.tile(np.arange(1, 4, dtype=np.int32), (many, 1)), texts=("", "a", "b", "c"),
        places=table.places[:1],
    )  # fmt: skip
    counts = np.bincount(instruction_of(one, 0), minlength=4)
    assert counts[0] == 0
    # Three standard deviations of a binomial draw.
    assert (np.abs(counts[1:] - many / 3) < 3 * (many * 2 / 9) ** 0.5).all()


def test_a_store_keeps_all_texts(directory, card, tmp_path) -> None:
    store = make(directory, tmp_path / "store", card=card)
    one, other = windows_of(directory, card), windows_of(store, card)
    np.testing.assert_array_equal(
        np.array(one.episodes.texts)[one.episodes.text],
        np.array(other.episodes.texts)[other.episodes.text],
    )
    assert one.episodes.text.shape[1] == 3
    assert told(one) == told(other)


def test_with_one_column_it_is_told(directory) -> None:
    windows = windows_of(directory, str(CARD))
    said = [words(n, t)[0] for n, length in enumerate(LENGTHS) for t in range(length)]
    assert told(windows) == [said[row] for row in windows.index.row]
