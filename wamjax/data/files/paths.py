"""Where files stand: on this machine (pathlib), or behind an address that the user named (fsspec).

    DIR                        pathlib.Path, as it always was
    SCHEME://PLACE/DIR         Remote: those verbs of pathlib.Path that reading takes

Schemes are those of fsspec: gs (install gcsfs), s3 (s3fs), az (adlfs), hf, http, memory and more.
Remote files are read by ranges of bytes. What has to be mapped into memory, which is the tables of
a store, is fetched once into $WAMJAX_DATA_CACHE (~/.cache/wamjax/data), under its own digest.
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator
from typing import IO, Any, Literal

import fsspec

from wamjax.core.errors import UserError

CACHE = "WAMJAX_DATA_CACHE"
BLOCK = 2**20
# How a file is gone through: a few bytes here and there, in a row, or back and forth.
Manner = Literal["picked", "row", "seeking"]
_CACHING: dict[Manner, str] = {"picked": "none", "row": "readahead", "seeking": "blockcache"}
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Size:
    """The part of os.stat_result that is known of a remote file."""

    st_size: int


@dataclasses.dataclass(frozen=True, order=True)
class Remote:
    """A file or directory behind an address; nothing is asked for until a verb is called.

    Attributes:
        scheme: for example "gs".
        path: behind the "://".
    """

    scheme: str
    path: pathlib.PurePosixPath

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def __truediv__(self, inner: str | os.PathLike) -> "Remote":
        return dataclasses.replace(self, path=self.path / inner)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def suffix(self) -> str:
        return self.path.suffix

    @property
    def parent(self) -> "Remote":
        return dataclasses.replace(self, path=self.path.parent)

    def with_name(self, name: str) -> "Remote":
        return dataclasses.replace(self, path=self.path.with_name(name))

    def with_suffix(self, suffix: str) -> "Remote":
        return dataclasses.replace(self, path=self.path.with_suffix(suffix))

    def relative_to(self, other: "Location") -> pathlib.PurePosixPath:
        """The way from another address."""
        assert isinstance(other, Remote)
        return self.path.relative_to(other.path)

    @property
    def system(self) -> Any:
        """The file system of fsspec, one a process.

        Raises:
            UserError: no such scheme, or what it takes is not installed.
        """
        return _system(self.scheme)

    def is_file(self) -> bool:
        with _one_sentence(self):
            return self.system.isfile(str(self))

    def is_dir(self) -> bool:
        """Whether something stands there; what does is listed, so that sizes are known after it."""
        with _one_sentence(self):
            try:
                return any(self._inner(name) != "" for name in self._listed())
            except (FileNotFoundError, NotADirectoryError):
                return False

    def iterdir(self) -> Iterator["Remote"]:
        with _one_sentence(self):
            names = {self._inner(name) for name in self._listed()} - {""}
        return (self / name for name in sorted(names))

    def glob(self, pattern: str) -> Iterator["Remote"]:
        """Without "**"."""
        depth = pattern.count("/") + 1
        with _one_sentence(self):
            found = self.system.glob(f"{self}/{pattern}")
        return (self / "/".join(name.rstrip("/").split("/")[-depth:]) for name in found)

    def stat(self) -> Size:
        with _one_sentence(self):
            return Size(int(self.system.info(str(self))["size"]))

    def read_bytes(self) -> bytes:
        return self.range(0, None)

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def range(self, start: int, stop: int | None) -> bytes:
        """Bytes `start` ... `stop` - 1, by one request."""
        with _one_sentence(self):
            return self.system.cat_file(str(self), start=start, end=stop)

    def put(self, file: pathlib.Path, name: str) -> None:
        """A copy of a local file in this directory, made if it is not there."""
        with _one_sentence(self):
            self.system.makedirs(str((self / name).parent), exist_ok=True)
            self.system.put_file(str(file), str(self / name))

    def clear(self) -> None:
        """Remove it with all that is below it, if it is there."""
        with _one_sentence(self), contextlib.suppress(FileNotFoundError):
            self.system.rm(str(self), recursive=True)

    def get(self, name: str, file: pathlib.Path) -> None:
        """A local copy of a file of this directory."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with _one_sentence(self):
            self.system.get_file(str(self / name), str(file))

    def find(self) -> list[str]:
        """The files below it, by their way from here."""
        own = fsspec.core.strip_protocol(str(self)).rstrip("/")
        with _one_sentence(self):
            return sorted(name[len(own) + 1 :] for name in self.system.find(str(self)))

    def _listed(self) -> list[str]:
        return self.system.ls(str(self), detail=False)

    def _inner(self, listed: str) -> str:
        """The last part of a name that was listed; "" for the directory itself."""
        name = listed.rstrip("/").rpartition("/")[2]
        itself = listed.rstrip("/").endswith(str(self.path).strip("/"))
        return "" if itself and name == self.name else name


Location = pathlib.Path | Remote
Named = str | os.PathLike[str] | Remote


def location(path: Named) -> Location:
    """Where a path or an address leads; nothing is asked for."""
    if isinstance(path, Remote | pathlib.Path):
        return path
    text = os.fspath(path)
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return pathlib.Path(text)
    scheme, rest = found.groups()
    return Remote(scheme, pathlib.PurePosixPath(rest))


@functools.cache
def _system(scheme: str) -> Any:
    try:
        return fsspec.filesystem(scheme)
    except ValueError as error:
        raise UserError(f"{scheme}:// is no address that fsspec knows: correct it.") from error
    except ImportError as error:
        raise UserError(f"{scheme}:// cannot be read yet ({error}): install that.") from error


@contextlib.contextmanager
def _one_sentence(path: Remote) -> Iterator[None]:
    """Files that are not there stay what they are for pathlib; all else is about the way there."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UserError):
        raise
    except Exception as error:  # every service has kinds of its own
        told = " ".join(str(error).split())[:200].rstrip(" .") or type(error).__name__
        raise OSError(f"{path} cannot be reached ({told})") from error


def within(path: Location, directory: Location) -> str:
    """The way from a directory to what stands in it."""
    if isinstance(path, Remote):
        return str(path.relative_to(directory))
    assert isinstance(directory, pathlib.Path)
    return str(path.relative_to(directory))


def opened(path: Location, manner: Manner) -> IO[bytes]:
    """The file, to be read."""
    if isinstance(path, pathlib.Path):
        return open(path, "rb")
    with _one_sentence(path):
        return path.system.open(str(path), "rb", block_size=BLOCK, cache_type=_CACHING[manner])


def source_of(path: Location) -> Any:
    """What PyArrow and PyAV take: a name, or a file object that they go back and forth in."""
    return str(path) if isinstance(path, pathlib.Path) else opened(path, "seeking")


@contextlib.contextmanager
def at_hand(directory: Location, suffixes: tuple[str, ...]) -> Iterator[pathlib.Path]:
    """The directory, or for a while a local one with copies of its files of these kinds."""
    if isinstance(directory, pathlib.Path):
        yield directory
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in directory.iterdir():
            if path.suffix in suffixes and path.is_file():
                (pathlib.Path(folder) / path.name).write_bytes(path.read_bytes())
        yield pathlib.Path(folder)


def digest(path: Location) -> str:
    """Of the bytes of a file."""
    found = hashlib.blake2b(digest_size=16)
    with opened(path, "row") as file:
        while block := file.read(4 * BLOCK):
            found.update(block)
    return found.hexdigest()


def fetched(path: Location, known: str) -> pathlib.Path:
    """A local file of the same bytes: itself, or a copy that is kept.

    Args:
        path: of the file.
        known: its digest, under which a copy is found again wherever it came from.

    Raises:
        OSError: it is not the file of that digest.
    """
    if isinstance(path, pathlib.Path):
        return path
    folder = cache()
    kept = folder / f"{known}{path.suffix}"
    if kept.is_file():
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    found = hashlib.blake2b(digest_size=16)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".fetching.")
    try:
        with os.fdopen(handle, "wb") as out, opened(path, "row") as file:
            while block := file.read(4 * BLOCK):
                found.update(block)
                out.write(block)
        if found.hexdigest() != known:
            raise OSError(f"{path} is not as it was written")
        os.replace(temporary, kept)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise
    return kept


def cache() -> pathlib.Path:
    """Where copies are kept."""
    named = os.environ.get(CACHE, "~/.cache/wamjax/data")
    return pathlib.Path(named).expanduser()
