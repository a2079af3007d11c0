"""Records and schemas whose checksums are right and whose content is not: what the fuzzer found."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from tests.data import damage
from tests.data.damage import Flat, Small
from wamjax.core.errors import UserError
from wamjax.data.episodes import read_episodes
from wamjax.data.faults import BadRecord
from wamjax.data.files.array_record import scan_array_record
from wamjax.data.files.images import LARGEST, decode
from wamjax.data.files.tfrecord import masked_crc32c
from wamjax.data.looking.inspect import report
from wamjax.data.sources.rlds import RldsSource


@pytest.fixture(params=[False, True], ids=["tfrecord", "array_record"])
def small(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Small:
    return damage.make(tmp_path, array_record=request.param)


def read(small: Small, budget: float = 0.0):
    return read_episodes(damage.config(str(small.directory), budget))


def change(small: Small, what: Callable[[Flat], None]) -> None:
    """Change the second record of the first shard."""
    flat = small.flat(1)
    what(flat)
    small.write_shard(0, [small.payloads[0][0], damage.example.encode(flat)])


def put(**values) -> Callable[[Flat], None]:
    return lambda flat: flat.update({name.replace("__", "/"): v for name, v in values.items()})


def no_steps(flat: Flat) -> None:
    for name in flat:
        if name.startswith("steps/"):
            flat[name] = flat[name][:0]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (no_steps, "the episode has no steps"),
        (put(steps__action=np.arange(7)), "steps/action holds int64 instead of float32"),
        (put(steps__is_last=np.ones(1, np.float32)), "steps/is_last holds float32 instead of bool"),
        (put(steps__is_first=np.array([2])), "steps/is_first holds 2, which is no bool"),
        (put(steps__reward=[b"1"]), "steps/reward holds bytes instead of float32"),
        (put(steps__language_instruction=[b"caf\xe9"]), "step 0 is not UTF-8"),
        (put(episode_metadata__success=np.array([1, 0])), "success has 2 entries, not 1"),
        (put(episode_metadata__success=[b"yes"]), "success holds bytes instead of bool"),
        (put(episode_metadata__task=np.array([1])), "task holds numbers instead of bytes"),
        (put(episode_metadata__task=[b"a", b"b"]), "task has 2 entries, not 1"),
    ],
)
def test_a_record_unlike_its_schema_is_a_fault(
    small: Small, what: Callable[[Flat], None], told: str
) -> None:
    change(small, what)
    place = "record 1" if small.array_record else f"byte {small.offset(0, 1)}"
    with pytest.raises(UserError, match=rf"1 of 3 episodes .*00002 at {place}: .*{told}"):
        read(small)
    table = read(small, 0.5)
    assert (table.faults.count, table.lengths.tolist()) == (1, [3, 6])


def test_metadata_that_is_empty_is_not_there(small: Small) -> None:
    change(small, lambda flat: flat.update({"episode_metadata/success": np.zeros(0, np.int64)}))
    assert read(small).solved.tolist() == [False, True, True]


def test_a_broken_array_record_costs_itself_alone(tmp_path: pathlib.Path) -> None:
    small = damage.make(tmp_path, array_record=True)
    shard = small.directory / small.shards[0]
    data = bytearray(small.files[small.shards[0]])
    data[500] ^= 1
    shard.write_bytes(data)
    [bad, whole] = scan_array_record(shard)
    assert isinstance(bad, BadRecord)
    assert (bad.offset, bad.lost, bad.problem.endswith("chunk data hash mismatch")) == (
        0,
        False,
        True,
    )
    assert not isinstance(whole, BadRecord)
    assert whole.payload == small.payloads[0][1]
    assert read(small, 0.5).lengths.tolist() == [1, 6]


@pytest.mark.parametrize("left", [0, 70, 2**16, 2**16 + 64, 2**17 - 1])
def test_an_array_record_without_its_index_is_lost(tmp_path: pathlib.Path, left: int) -> None:
    small = damage.make(tmp_path, array_record=True)
    shard = small.directory / small.shards[0]
    shard.write_bytes(small.files[small.shards[0]][:left])
    [bad] = scan_array_record(shard)
    assert isinstance(bad, BadRecord)
    assert bad.lost
    assert bad.problem
    assert "\n" not in bad.problem
    with pytest.raises(UserError, match=r"2 of 3 episodes .* at record 0: "):
        read(small)
    assert read(small, 0.9).lengths.tolist() == [6]


def test_an_empty_array_record_is_short_not_broken(tmp_path: pathlib.Path) -> None:
    small = damage.make(tmp_path, array_record=True)
    path = small.directory / small.shards[1]
    path.unlink()
    ArrayRecordWriter(str(path), "group_size:1").close()
    with pytest.raises(UserError, match=r"1 of 3 .* at record 0: .*ends after 0 of 1 episodes"):
        read(small)


def test_what_a_wrong_length_leaves_behind_is_no_further_episode(tmp_path: pathlib.Path) -> None:
    """A length that says 0: the rest of the record looks like bytes after the last episode."""
    small = damage.make(tmp_path, array_record=False)
    data = bytearray(small.files[small.shards[0]])
    start = small.offset(0, 1)
    data[start : start + 12] = bytes(8) + masked_crc32c(bytes(8)).to_bytes(4, "little")
    (small.directory / small.shards[0]).write_bytes(data)
    table = read(small, 0.5)
    assert (table.faults.count, table.lengths.tolist()) == (1, [3, 6])


def test_an_episode_before_the_break_can_be_read_by_number(tmp_path: pathlib.Path) -> None:
    small = damage.make(tmp_path, array_record=False)
    shard = small.directory / small.shards[0]
    shard.write_bytes(small.files[small.shards[0]][:-30])
    source = RldsSource(small.directory, "train")
    assert [source.episode(number).length for number in (0, 2)] == [3, 6]
    with pytest.raises(BadRecord, match="cut off"):
        source.episode(1)
    shard.write_bytes(small.files[small.shards[0]][: small.offset(0, 1)])
    with pytest.raises(BadRecord, match="ends after 1 of 2 episodes"):
        RldsSource(small.directory, "train").episode(1)


@pytest.mark.parametrize("sides", [(60_000, 60_000), (2**31 - 1, 2), (10_000, 2_000)])
def test_a_picture_that_claims_to_be_huge_is_not_believed(sides: tuple[int, int]) -> None:
    assert sides[0] * sides[1] > LARGEST
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode(damage.huge_png(*sides))


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = damage.huge_png(4_500, 4_500, lies=False)
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode(bomb)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM"])
def test_only_what_tfds_writes_is_a_picture(form: str) -> None:
    """PIL's other readers are no part of the promise, and one of them starts a program."""
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode(damage.picture(np.full((4, 4, 3), 9, np.uint8), form))
    assert decode(damage.picture(np.full((4, 4, 3), 9, np.uint8), "PNG")).mean() == 9


def schema(small: Small, *path: str, value: object = None) -> None:
    """Replace (None: remove) a node of features.json."""
    content = json.loads(small.files["features.json"])
    node = content["featuresDict"]["features"]
    for name in path[:-1]:
        node = node[name]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    (small.directory / "features.json").write_text(json.dumps(content))


STEPS = ("steps", "sequence", "feature", "featuresDict", "features")


def test_a_schema_that_lost_a_mark_is_noticed(small: Small) -> None:
    """Without is_last in the schema the undefined last actions would be learned."""
    schema(small, *STEPS, "is_last")
    with pytest.raises(UserError, match=r"steps/is_last is recorded, but features\.json has no"):
        read(small)
    schema(small, "episode_metadata", "featuresDict", "features", "success")
    with pytest.raises(UserError, match=r"success is recorded, but features\.json has no"):
        read(small)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("action", "tensor", "dtype"), "float77", r"a tensor without a dtype"),
        (("action", "tensor", "dtype"), None, r"a tensor without a dtype"),
        (("action", "tensor", "shape"), {"dimensions": ["-7"]}, "Unexpected shape"),
        (("action", "tensor", "shape"), {"dimensions": [str(2**40)] * 2}, "does not fit its shape"),
        (("action", "pythonClassName"), "antigravity.Feature", "class 'antigravity.Feature'"),
    ],
)
def test_a_damaged_schema_is_one_sentence(
    small: Small, path: tuple[str, ...], value: object, told: str
) -> None:
    schema(small, *STEPS, *path, value=value)
    with pytest.raises(UserError, match=told) as caught:
        read(small)
    assert "\n" not in str(caught.value)
    assert "antigravity" not in sys.modules


def test_a_damaged_schema_does_not_import_tensorflow(tmp_path: pathlib.Path) -> None:
    small = damage.make(tmp_path, array_record=False)
    schema(small, *STEPS, "action", "tensor", "dtype", value="float77")
    code = (
        "import sys; from wamjax.core.errors import UserError; from wamjax.data import RldsSource\n"
        f"try: RldsSource({str(small.directory)!r}, 'train')\n"
        "except UserError: print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"2",', '"-2",', r"dataset_info\.json promises -2 episodes"),
        ('"2",', '"99999999999999999999",', r"cannot be read .*dataset_info\.json"),
        ("{DATASET}", "a\\nb", r"dataset_info\.json names the file 'a\\nb"),
        ('"train"', '"dev"', r"dataset_info\.json has no split 'train': choose one of dev"),
        ('"1.0.0"', "[" * 5000, r"dataset_info\.json is not valid JSON"),
    ],
)
def test_a_damaged_description_is_one_sentence(small: Small, old: str, new: str, told: str) -> None:
    path = small.directory / "dataset_info.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=told) as caught:
        read(small)
    assert "\n" not in str(caught.value)


def test_inspect_survives_a_rate_that_is_no_number(small: Small) -> None:
    text = {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}}
    schema(small, "episode_metadata", "featuresDict", "features", "control_hz", value=text)
    payloads = []
    for number in range(3):
        flat = small.flat(number)
        flat["episode_metadata/control_hz"] = [b"ten"]
        payloads.append(damage.example.encode(flat))
    small.write_shard(0, payloads[:2])
    small.write_shard(1, payloads[2:])
    assert report(small.directory)["splits"]["train"]["control_hz"] == []
