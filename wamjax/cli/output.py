"""What a bench prints, and the files it writes beside: --page FILE, --json [FILE]."""

import argparse
import json
import pathlib
from collections.abc import Callable
from typing import Any

from wamjax.core.errors import UserError


def arguments(parser: argparse.ArgumentParser, page: str) -> None:
    """Both flags; `page` says what stands on the page."""
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE", help=page)
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="print JSON, or write it to FILE beside the text",
    )


def refuse_no_folder(args: argparse.Namespace) -> None:
    """Before anything is measured.

    Raises:
        UserError: the directory of a file does not exist.
    """
    files = (("--page", args.page), ("--json", args.json))
    for flag, file in ((flag, file) for flag, file in files if file not in (None, "-")):
        if not pathlib.Path(file).absolute().parent.is_dir():
            raise UserError(f"{flag}: the directory of {file} does not exist.")


def tell(
    args: argparse.Namespace,
    result: dict[str, Any],
    as_text: Callable[[dict[str, Any]], str],
    as_page: Callable[[dict[str, Any]], str],
) -> None:
    """Write the files and print the text, or JSON alone."""
    if args.page is not None:
        args.page.write_text(as_page(result), encoding="utf-8")
    text = json.dumps(result, indent=2)
    if args.json not in (None, "-"):
        pathlib.Path(args.json).write_text(text + "\n", encoding="utf-8")
    print(text if args.json == "-" else as_text(result))
