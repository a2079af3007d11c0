"""Against TFDS itself: what it reads of real data, and of what we wrote."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from tests.data.synthetic import episodes
from wamjax.data.files import example
from wamjax.data.files.array_record import scan_array_record
from wamjax.data.files.images import decode
from wamjax.data.files.tfrecord import Record, scan
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.writing.rlds import write_rlds

pytestmark = [pytest.mark.tfds, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def tfds() -> Any:
    pytest.importorskip("tensorflow")
    import tensorflow_datasets

    return tensorflow_datasets


@pytest.fixture(scope="module")
def exact_jpeg(tfds: Any) -> Any:
    """A TFDS decoder with the exact inverse DCT; TFDS's default is the fast one, 1 % off."""
    import tensorflow as tf  # noqa: TID251

    @tfds.decode.make_decoder()
    def decoder(encoded: Any, feature: Any) -> Any:
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")

    return decoder()


def _read(
    tfds: Any, directory: pathlib.Path, split: str, decoders: Any = None
) -> list[dict[str, Any]]:
    """Episodes as TFDS reads them: flat step features over time, and metadata."""
    builder = tfds.builder_from_directory(str(directory))
    options = {
        "split": split,
        "read_config": tfds.ReadConfig(interleave_cycle_length=1),
        "shuffle_files": False,
        "decoders": decoders,
    }
    out = []
    for item in builder.as_dataset(**options):
        steps = [_flat(step) for step in tfds.as_numpy(item["steps"])]
        out.append(
            {
                "steps": {name: [step[name] for step in steps] for name in steps[0]},
                "metadata": {k: v.numpy() for k, v in item["episode_metadata"].items()},
            }
        )
    return out


def _flat(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    out = {}
    for name, value in tree.items():
        inner = f"{path}/{name}" if path else name
        out |= _flat(value, inner) if isinstance(value, dict) else {inner: value}
    return out


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_bridge_is_read_as_tfds_reads_it(
    tfds: Any, exact_jpeg: Any, bridge_directory: pathlib.Path, split: str
) -> None:
    source = RldsSource(bridge_directory, split)
    cameras = {f"image_{view}": exact_jpeg for view in range(4)}
    theirs = _read(tfds, bridge_directory, split, {"steps": {"observation": cameras}})
    assert len(theirs) == len(source) == 25
    for number, expected in enumerate(theirs):
        ours = source.episode(number)
        assert set(ours.steps) == set(expected["steps"])
        for name, values in expected["steps"].items():
            found = ours.steps[name]
            if "image" in name:
                pictures = np.stack([decode(bytes(image)) for image in found])
                np.testing.assert_array_equal(pictures, np.stack(values))
            elif isinstance(found, np.ndarray):
                assert found.dtype == np.asarray(values).dtype
                np.testing.assert_array_equal(found, np.stack(values))
            else:
                assert found == values
        for name, value in expected["metadata"].items():
            wanted = value.decode() if isinstance(value, bytes) else value
            assert ours.metadata[name] == wanted


def test_tfds_reads_what_we_write(tfds: Any, tabletop: pathlib.Path) -> None:
    read = _read(tfds, tabletop, "train")
    for expected, found in zip(episodes(), read, strict=True):
        steps = {name: np.stack(values) for name, values in found["steps"].items()}
        np.testing.assert_array_equal(steps["observation/image"], expected.frames["primary"])
        np.testing.assert_array_equal(steps["observation/wrist_image"], expected.frames["wrist"])
        np.testing.assert_array_equal(
            steps["observation/state"], expected.proprio.astype(np.float32)
        )
        np.testing.assert_array_equal(steps["action"], expected.actions)
        last = np.arange(len(expected.actions)) == len(expected.actions) - 1
        np.testing.assert_array_equal(steps["is_last"], last)
        np.testing.assert_array_equal(steps["is_terminal"], last & expected.success)
        assert set(steps["language_instruction"].tolist()) == {expected.instruction.encode()}
        metadata = found["metadata"]
        assert metadata["task"] == b"reach"
        assert metadata["seed"] == expected.metadata["seed"]
        assert bool(metadata["success"]) == expected.success
        assert metadata["control_hz"] == np.float32(10)


def test_our_json_files_have_the_form_tfds_gives_them(
    tfds: Any, tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    builder = tfds.builder_from_directory(str(tabletop))
    builder.info.write_to_directory(str(tmp_path))
    for name in ("dataset_info.json", "features.json"):
        ours = json.loads((tabletop / name).read_text())
        theirs = json.loads((tmp_path / name).read_text())
        # Empty, and absent from what builders write the first time.
        theirs.pop("redistributionInfo", None)
        assert ours == theirs, name
    split = builder.info.splits["train"]
    assert split.num_examples == 14
    assert split.shard_lengths == [4, 4, 4, 2]
    payloads = [r.payload for s in sorted(tabletop.glob("*.tfrecord-*")) for r in scan(s)
                if isinstance(r, Record)]  # fmt: skip
    assert split.num_bytes == sum(map(len, payloads))


def test_records_are_those_of_tensorflow(tfds: Any, tabletop: pathlib.Path) -> None:
    import tensorflow as tf  # noqa: TID251

    path = tabletop / "tabletop-train.tfrecord-00000-of-00004"
    theirs = [raw.numpy() for raw in tf.data.TFRecordDataset(str(path))]
    ours = [record.payload for record in scan(path) if isinstance(record, Record)]
    assert ours == theirs
    parsed = tf.train.Example.FromString(theirs[0])
    flat = example.decode(ours[0])
    assert set(parsed.features.feature) == set(flat)
    for name, feature in parsed.features.feature.items():
        kind = feature.WhichOneof("kind")
        np.testing.assert_array_equal(np.asarray(flat[name]), list(getattr(feature, kind).value))
    assert example.encode(flat) == ours[0]


def test_array_record_holds_the_same_episodes(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    small = write_rlds(tmp_path, "tabletop", "1.0.0", episodes((3, 5, 2)), shard_episodes=2)
    other = tmp_path / "as_array_record"
    other.mkdir()
    info = json.loads((small / "dataset_info.json").read_text()) | {"fileFormat": "array_record"}
    (other / "dataset_info.json").write_text(json.dumps(info))
    (other / "features.json").write_bytes((small / "features.json").read_bytes())
    for shard in small.glob("*.tfrecord-*"):
        target = other / shard.name.replace(".tfrecord-", ".array_record-")
        writer = ArrayRecordWriter(str(target), "group_size:1")
        for record in scan(shard):
            assert isinstance(record, Record)
            writer.write(record.payload)
        writer.close()
        assert len(list(scan_array_record(target))) == len(list(scan(shard)))
    ours, theirs = RldsSource(other, "train"), RldsSource(small, "train")
    assert [ours.episode(i).content() for i in range(3)] == [
        theirs.episode(i).content() for i in range(3)
    ]
    assert len(list(ours.scan())) == 3
