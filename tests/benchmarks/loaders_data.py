"""What the loaders are compared on: real data, brought to the form that each of them reads."""

import json
import pathlib

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

from tests.data.lerobot_sets import write_v30
from tests.data.real_mixture import droid_episodes
from wamjax.data import Making, make_store, write_rlds
from wamjax.data.files import example, tfrecord
from wamjax.data.files.images import decode, encode
from wamjax.data.writing.recoding import Form

HEAD = "observation.images.cam_high"
QUALITY = 95


def bridge(shared: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    """The version directory of Bridge's sample; octo writes into it."""
    given = shared / "octo_debug_bridge" / "bridge_dataset" / "1.0.0"
    made = root / "bridge" / "bridge_dataset" / "1.0.0"
    made.mkdir(parents=True)
    for file in given.iterdir():
        (made / file.name).symlink_to(file)
    return made


def g1(shared: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    """The G1's episodes in version 3.0, numbered from 0 on, with what LeRobot asks for."""
    v21 = shared / "g1_inspire_lerobot_v21"
    numbers = sorted(int(p.stem.split("_")[1]) for p in v21.glob("data/*/*.parquet"))
    made = write_v30(root / "g1", v21, numbers, per_file=4)
    frames = 0
    for file in sorted(made.glob("data/*/*.parquet")):
        table = parquet.read_table(file)
        here = np.arange(frames, frames + table.num_rows)
        episode = [numbers.index(n) for n in table.column("episode_index").to_pylist()]
        for name, values in (("index", here), ("episode_index", episode)):
            place = table.column_names.index(name)
            table = table.set_column(place, name, pyarrow.array(values, pyarrow.int64()))
        parquet.write_table(table, file)
        frames += table.num_rows
    (file,) = made.glob("meta/episodes/*/*.parquet")
    rows = parquet.read_table(file).to_pylist()
    ends = np.cumsum([row["length"] for row in rows])
    for row, end in zip(rows, ends.tolist(), strict=True):
        row["episode_index"] = numbers.index(row["episode_index"])
        row |= {"dataset_from_index": end - row["length"], "dataset_to_index": end}
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    tasks = parquet.read_table(made / "meta/tasks.parquet")
    # The words are pandas' index.
    column = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    words = {**column, "name": None, "field_name": "__index_level_0__", "pandas_type": "unicode"}
    number = {**column, "name": "task_index", "field_name": "task_index"}
    index = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [],
        "columns": [number, {**words, "numpy_type": "object"}],
    }
    told = {b"pandas": json.dumps(index).encode()}
    parquet.write_table(tasks.replace_schema_metadata(told), made / "meta/tasks.parquet")
    info = json.loads((made / "meta/info.json").read_text())
    info |= {"total_episodes": len(numbers), "total_frames": frames}
    info |= {"splits": {"train": f"0:{len(numbers)}"}}
    (made / "meta/info.json").write_text(json.dumps(info))
    return made


def as_jpeg(directory: pathlib.Path) -> None:
    """Images of an RLDS directory encoded anew, as DROID's are; our writer loses nothing."""
    for shard in directory.glob("*.tfrecord-*"):
        records = [r for r in tfrecord.scan(shard) if isinstance(r, tfrecord.Record)]
        with tfrecord.Writer(shard) as writer:
            for record in records:
                features = example.decode(record.payload)
                for name, value in features.items():
                    if name.endswith("_image") and isinstance(value, list):
                        features[name] = [encode(decode(i), "jpeg", QUALITY) for i in value]
                writer.write(example.encode(features))


def droid(shared: pathlib.Path, root: pathlib.Path, side: int) -> tuple[pathlib.Path, pathlib.Path]:
    """DROID's episodes with three cameras of `side` pixels, JPEG: as RLDS, and as a store of it."""
    rlds = write_rlds(root / "droid", "droid_five", "1.0.0", droid_episodes(shared, side))
    as_jpeg(rlds)
    making = Making(
        directory=str(rlds),
        out=root / "droid_store",
        split=None,
        card=None,
        images=Form(),
        shard_steps=20_000,
        workers=1,
        bad_budget=0.0,
    )
    return rlds, make_store(making)
