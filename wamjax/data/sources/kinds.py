"""Which kind of data set a directory is.

store.json            a prepared store                 wamjax.data.sources.store
dataset_info.json     RLDS as TFDS leaves it           wamjax.data.sources.rlds
meta/info.json        LeRobot v2.1 or v3.0             wamjax.data.sources.lerobot
video files           one episode a file or folder     wamjax.data.sources.video_folder
"""

from wamjax.core.errors import UserError
from wamjax.data.files.paths import Location, Named, location
from wamjax.data.files.schema import split_names as rlds_splits
from wamjax.data.files.store_format import is_store
from wamjax.data.sources.lerobot import LeRobotSource
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.sources.source import Source
from wamjax.data.sources.store import StoreSource, read_table
from wamjax.data.sources.video_folder import VideoFolder, holds_videos

ACCEPTED = (
    "an RLDS version directory (it holds dataset_info.json), a LeRobot data set (it holds "
    "meta/info.json), a store of `wamjax data prepare`, or a folder of videos"
)


def open_source(directory: Named, split: str) -> Source:
    """One split of a data set.

    Raises:
        UserError: no kind of data set, no such split, or it cannot be read.
    """
    path = _checked(directory)
    if is_store(path):
        return StoreSource(path, split)
    if (path / "dataset_info.json").is_file():
        return RldsSource(path, split)
    if (path / "meta" / "info.json").is_file():
        return LeRobotSource(path, split)
    if holds_videos(path):
        return VideoFolder(path, split)
    raise UserError(f"{path} is no data set: give {ACCEPTED}.")


def split_names(directory: Named) -> tuple[str, ...]:
    """The splits of a data set, sorted.

    Raises:
        UserError: no kind of data set.
    """
    path = _checked(directory)
    if is_store(path):
        return tuple(sorted(read_table(path)["splits"]))
    if (path / "dataset_info.json").is_file():
        return rlds_splits(path)
    if (path / "meta" / "info.json").is_file():
        return LeRobotSource.splits(path)
    if holds_videos(path):
        return ("train",)
    raise UserError(f"{path} is no data set: give {ACCEPTED}.")


def _checked(directory: Named) -> Location:
    path = location(directory)
    try:
        there = path.is_dir()
    except OSError as error:
        raise UserError(f"{error}: check the address and who you are logged in as.") from error
    if not there:
        raise UserError(f"{path} is not a directory: check the path of the data set.")
    return path
