"""A save by several hosts: all get through it, or all learn that one did not.

Between the parts of a save (written -> committed -> tidied up) Orbax lets the hosts wait for one
another at places with names. A host whose disk is full leaves out what is left and waits at the
last place, the others for it at the first one, until all give up after ten minutes and disagree
on what there is. Here hosts meet by count instead and compare the names: where they differ one has
failed, and all fail, before the rename that makes a checkpoint.
"""

import jax

from wamjax.parallel.ending import service
from wamjax.train.agree import all_texts

PARTED = "another host has failed"


class Parted(Exception):  # noqa: N818  (the error is that of another host)
    """Another host is at another place of this save."""


class Rendezvous:
    """A barrier for `orbax.checkpoint.AsyncOptions`; every host makes its own, all at one point."""

    def __init__(self) -> None:
        self._save, self._met, self._parted = 0, 0, False

    def begin(self) -> None:
        """The next save begins, on every host."""
        if jax.process_count() > 1 and jax.process_index() == 0:
            service().key_value_delete(f"wamjax/save/{self._save}/")
        self._save, self._met, self._parted = self._save + 1, 0, False

    def __call__(self, *, key: str, timeout_ms: int) -> None:
        """Wait for the others at `key`; once one has failed nobody is waited for any more.

        Raises:
            Parted: another host has failed.
            jax.errors.JaxRuntimeError: a host did not come within `timeout_ms`, or is dead.
        """
        if self._parted or jax.process_count() == 1:
            return
        self._met += 1
        place = f"wamjax/save/{self._save}/{self._met}"
        self._parted = True
        service().key_value_set(f"{place}/{key}", "", allow_overwrite=True)
        service().wait_at_barrier(place, timeout_ms)
        if len(service().key_value_dir_get(f"{place}/")) > 1:
            raise Parted(PARTED)
        self._parted = False


def cause(error: BaseException) -> BaseException:
    """What failed on this host itself, if an error of another one came on top of it."""
    while isinstance(error, Parted) and error.__context__ is not None:
        error = error.__context__
    return error


def told_by_all(wrong: str) -> str:
    """What went wrong on any host, "" if nothing did; all hosts call it at one point.

    Args:
        wrong: what did on this one, or "".
    """
    if jax.process_count() == 1:
        return wrong
    said = [(host, text) for host, text in enumerate(all_texts(wrong)) if text]
    causes = [(host, text) for host, text in said if text != PARTED] or said
    more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
    return "".join(f"host {host}{more}: {text}" for host, text in causes[:1])
