"""Windows whose latents were computed before: `Windows` or `Mixture` with the latents beside.

    batch   numbers, masks and texts as they are; latents from disk; of the frames those alone that
            are read as pixels, too. `frame_mask` is that of all frames, as when they are decoded

What lies on disk: `data.files.latent_format`.
"""

import pathlib
from typing import Any

import numpy as np

from wamjax.core.config import fingerprint
from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.data.files import latent_format as form
from wamjax.data.files.latent_format import LatentPlan
from wamjax.data.files.paths import digest
from wamjax.data.windows.order import Order
from wamjax.data.windows.pipeline import Numbered

OPEN = 128  # shards that are mapped at a time


class Latents:
    """The latents of a directory, by window.

    Args:
        directory: of `make_latents`.

    Raises:
        UserError: not finished, or a file that is missing, cut or damaged.
    """

    def __init__(self, directory: str | pathlib.Path):
        self.directory = pathlib.Path(directory)
        self.table = form.read_table(self.directory)
        self.plan = LatentPlan.from_json(self.table)
        for name, wanted in self.table["files"].items():
            path = self.directory / name
            if not path.is_file() or digest(path) != wanted:
                raise UserError(f"{path} is not as it was written: {form.again(path)}.")
        parts = [
            np.load(self.directory / form.rows_name(number)) for number in range(self.plan.shards)
        ]
        rows = np.concatenate(parts)
        self.frame_mask, self.checks = rows["frames"], rows["check"]
        self._maps: dict[int, np.ndarray] = {}
        for number in range(self.plan.shards):
            self._shard(number)

    def _shard(self, number: int) -> np.ndarray:
        """A shard, mapped."""
        if number not in self._maps:
            path = self.directory / form.shard_name(number)
            try:
                found = np.load(path, mmap_mode="r").view(np.ndarray)
            except Exception as error:  # a damaged header makes NumPy raise half a dozen kinds
                raise UserError(
                    f"{path} cannot be read as an array: {form.again(path)}."
                ) from error
            shape = (len(self.plan.windows_of(number)), *self.plan.shape)
            if found.dtype != form.BITS[self.plan.dtype] or found.shape != shape:
                raise UserError(f"{path} is not as it was written: {form.again(path)}.")
            if len(self._maps) == OPEN:
                del self._maps[next(iter(self._maps))]
            self._maps[number] = found
        return self._maps[number]

    def gather(self, windows: np.ndarray) -> np.ndarray:
        """Latents [B, W, L, h, w, c] of windows, int64 [B].

        Raises:
            UserError: one is not as it was written.
        """
        out = np.empty((len(windows), *self.plan.shape), form.BITS[self.plan.dtype])
        for place, window in enumerate(windows.tolist()):
            number, row = divmod(window, self.plan.shard_windows)
            out[place] = self._shard(number)[row]
            check = form.checksum(out[place], self.frame_mask[window])
            if check != int(self.checks[window]):
                path = self.directory / form.shard_name(number)
                raise UserError(
                    f"{path}: the checksum of window {window} is wrong: {form.again(path)}."
                )
        return out.view(form.NUMBERS[self.plan.dtype])

    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the codec, by path."""
        if form.WEIGHTS not in self.table["files"]:
            return {}
        with np.load(self.directory / form.WEIGHTS) as found:
            return {name: found[name] for name in found.files}

    def refuse_others(self, windows: Numbered, codec: dict[str, Any]) -> None:
        """Refuse the latents of other frames or of another codec.

        Args:
            windows: of the run.
            codec: kind and settings; the weights are those that lie here.

        Raises:
            UserError: they differ; the sentence says where.
        """
        told = self.plan
        there = {"frames": told.frames, "windows": told.windows, "codec": told.codec}
        mine = {**codec, "weights": told.codec["weights"]}
        form.refuse_others(
            f"The latents in {self.directory} are not those of this run",
            there,
            {"frames": windows.seen(), "windows": len(windows), "codec": mine},
            "encode its windows with `wamjax data encode`, or restore the settings",
        )


class EncodedWindows:
    """Windows with latents; it has the functions of `Numbered`.

    Args:
        windows: of the run.
        latents: of these windows, see `Latents.refuse_others`.
        pixels: places, among a window's frames, of those that are read as pixels, too.
    """

    def __init__(self, windows: Numbered, latents: Latents, pixels: tuple[int, ...]):
        self.windows, self.latents, self.pixels = windows, latents, pixels
        self.config = windows.config

    def __len__(self) -> int:
        return len(self.windows)

    def order(self) -> Order:
        """See `Numbered`."""
        return self.windows.order()

    def seen(self) -> dict[str, Any]:
        """See `Numbered`."""
        return self.windows.seen()

    def batch(self, windows: np.ndarray, places: tuple[int, ...] | None = None) -> Batch:
        """See `Numbered`; `places` are those of the constructor by default."""
        batch = self.windows.batch(windows, self.pixels if places is None else places)
        real = windows >= 0
        chosen = np.where(real, windows, 0).astype(np.int64)
        return batch.replace(
            latents=self.latents.gather(chosen),
            frame_mask=self.latents.frame_mask[chosen] & real[:, None],
        )

    def fingerprint(self) -> dict[str, Any]:
        """See `Numbered`."""
        plan = self.latents.plan
        told = {
            "codec": plan.codec,
            "dtype": plan.dtype,
            "files": fingerprint(self.latents.table["files"]),
        }
        return {**self.windows.fingerprint(), "latents": told}
