"""Small LeRobot data sets, made here: version 2.1 from numbers, 3.0 from one of version 2.1."""

import io
import json
import pathlib

import av
import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from PIL import Image

RATE = 10
SIZE = (32, 48)
CAMERA = "observation.images.front"
STORED = "observation.images.wrist"
PLACE = "chunk-{episode_chunk:03d}/episode_{episode_index:06d}"
TASKS = ("pick the cup", "öffne die Tür")


def write_video(path: pathlib.Path, frames: np.ndarray, rate: int = RATE, codec: str = "libx264"):
    """uint8 [T, H, W, 3] as a file with a keyframe every four frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        fine = {"g": "4", "crf": "1"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=fine)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def pictures(number: int, length: int) -> np.ndarray:
    """Plain frames, each of a grey of its own: step t of episode e is 8 t + 40 e + 10."""
    grey = (8 * np.arange(length) + 40 * number + 10) % 250
    return np.broadcast_to(grey[:, None, None, None], (length, *SIZE, 3)).astype(np.uint8)


def png(frame: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "PNG")
    return out.getvalue()


def numbers(number: int, length: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(number)
    return {
        "observation.state": draw.normal(size=(length, 3)).astype(np.float32),
        "action": draw.normal(size=(length, 2)).astype(np.float32),
        "next.done": np.arange(length) == length - 1,
    }


def write_v21(root: pathlib.Path, lengths: tuple[int, ...] = (6, 4, 9)) -> pathlib.Path:
    """Episodes with one camera as video and one as images in the parquet file."""
    at = 0
    for number, length in enumerate(lengths):
        columns = {name: pyarrow.array(list(v)) for name, v in numbers(number, length).items()}
        images = [
            {"bytes": png(f), "path": f"frame_{t}.png"}
            for t, f in enumerate(pictures(number, length))
        ]
        columns |= {
            STORED: pyarrow.array(images),
            "timestamp": pyarrow.array((np.arange(length) / RATE).astype(np.float32)),
            "frame_index": pyarrow.array(np.arange(length)),
            "episode_index": pyarrow.array(np.full(length, number)),
            "index": pyarrow.array(np.arange(at, at + length)),
            "task_index": pyarrow.array(np.full(length, number % 2)),
        }
        at += length
        path = root / f"data/chunk-000/episode_{number:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.table(columns), path)
        write_video(
            root / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4", pictures(number, length)
        )
    counting = {
        name: {"dtype": "int64", "shape": [1]}
        for name in ("frame_index", "episode_index", "index", "task_index")
    }
    features = {
        "observation.state": {"dtype": "float32", "shape": [3]},
        "action": {"dtype": "float32", "shape": [2]},
        "next.done": {"dtype": "bool", "shape": [1]},
        CAMERA: {"dtype": "video", "shape": [*SIZE, 3]},
        STORED: {"dtype": "image", "shape": [*SIZE, 3]},
        "timestamp": {"dtype": "float32", "shape": [1]},
        **counting,
    }
    info = {
        "codebase_version": "v2.1",
        "fps": RATE,
        "chunks_size": 1000,
        "splits": {"train": f"0:{len(lengths) - 1}", "test": f"{len(lengths) - 1}:{len(lengths)}"},
        "data_path": f"data/{PLACE}.parquet",
        "video_path": f"videos/{PLACE.replace('/', '/{video_key}/')}.mp4",
        "features": features,
    }
    meta = root / "meta"
    meta.mkdir()
    (meta / "info.json").write_text(json.dumps(info))
    tasks = [{"task_index": n, "task": task} for n, task in enumerate(TASKS)]
    told = [
        {"episode_index": n, "tasks": [TASKS[n % 2]], "length": length}
        for n, length in enumerate(lengths)
    ]
    for name, rows in (("tasks", tasks), ("episodes", told)):
        (meta / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def remux(parts: list[pathlib.Path], out: pathlib.Path, rate: float) -> None:
    """Videos one after the other in one file, packet by packet, not encoded anew."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(out), "w") as target:
        made, before = None, 0
        for part in parts:
            with av.open(str(part)) as source:
                own = source.streams.video[0]
                made = target.add_stream_from_template(own, opaque=True) if made is None else made
                step = round(1 / rate / own.time_base)
                for packet in source.demux(own):
                    if packet.size:
                        packet.pts += before * step
                        packet.dts += before * step
                        packet.stream = made
                        target.mux(packet)
                before += own.frames


def write_v30(
    root: pathlib.Path, v21: pathlib.Path, episodes: list[int], per_file: int = 2
) -> pathlib.Path:
    """The same episodes in version 3.0, some in each file."""
    info = json.loads((v21 / "meta/info.json").read_text())
    rate = info["fps"]
    cameras = [name for name, told in info["features"].items() if told["dtype"] == "video"]
    rows = []
    for file, start in enumerate(range(0, len(episodes), per_file)):
        here = episodes[start : start + per_file]
        tables = [parquet.read_table(v21 / f"data/chunk-000/episode_{n:06d}.parquet") for n in here]
        data = root / f"data/chunk-000/file-{file:03d}.parquet"
        data.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.concat_tables(tables), data)
        for camera in cameras:
            parts = [v21 / f"videos/chunk-000/{camera}/episode_{n:06d}.mp4" for n in here]
            remux(parts, root / f"videos/{camera}/chunk-000/file-{file:03d}.mp4", rate)
        before = 0
        for number, table in zip(here, tables, strict=True):
            row = {
                "episode_index": number,
                "length": table.num_rows,
                "tasks": ["x"],
                "data/chunk_index": 0,
                "data/file_index": file,
                "stats/action/min": [0.0],
            }
            for camera in cameras:
                row |= {
                    f"videos/{camera}/chunk_index": 0,
                    f"videos/{camera}/file_index": file,
                    f"videos/{camera}/from_timestamp": before / rate,
                    f"videos/{camera}/to_timestamp": (before + table.num_rows) / rate,
                }
            before += table.num_rows
            rows.append(row)
    meta = root / "meta/episodes/chunk-000"
    meta.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), meta / "file-000.parquet")
    tasks = [json.loads(line) for line in (v21 / "meta/tasks.jsonl").read_text().splitlines()]
    words = {
        "task_index": [t["task_index"] for t in tasks],
        "__index_level_0__": [t["task"] for t in tasks],
    }
    parquet.write_table(pyarrow.table(words), root / "meta/tasks.parquet")
    info |= {
        "codebase_version": "v3.0",
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    (root / "meta/info.json").write_text(json.dumps(info))
    return root
