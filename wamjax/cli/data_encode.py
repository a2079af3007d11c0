"""`wamjax data encode`: the latents of a run's windows, see `wamjax.data.files.latent_format`."""

import argparse
import json
import pathlib

from wamjax.core.errors import UserError
from wamjax.data.files.latent_format import DTYPES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Encode the windows of a run once, by its frozen codec; train on the latents with\n"
        "--config.data.latents=OUT. A codec with weights is that of --run: the averaged weights\n"
        "of its newest checkpoint, behind the stage that trains it; a published one (wan22) is\n"
        "read from --weights. They lie beside the latents, and a run on OUT begins with them. The\n"
        "same command goes on where it was interrupted, shares the work with others that were\n"
        "given it, and mends what was damaged."
    )
    parser.epilog = (
        "Examples:\n  wamjax data encode --run runs/ae --out LATENTS\n"
        "  wamjax train --config configs/quickstart_autoencoder.py --config.data.dir=DIR \\\n"
        "      --config.data.latents=LATENTS --workdir runs/on_latents\n"
        "  wamjax data encode --config C.py --config.system.codec.kind=wan22 \\\n"
        "      --config.system.codec.temporal=4 --weights Wan2.2_VAE.pth --out LATENTS"
    )
    add = parser.add_argument
    add("--run", dest="workdir", type=pathlib.Path, metavar="WORKDIR", help="of the trained codec")
    add("--weights", metavar="PATH", help="of a published codec: a file, or a converted folder")
    add("--config", metavar="FILE", help="data and system; default: those of --run")
    add("--out", required=True, type=pathlib.Path, metavar="OUT", help="is made")
    add("--dir", metavar="DIR", help="where the data are now, if they have moved")
    add("--dtype", choices=DTYPES, default="float32", help="of what is stored (float32: exact)")
    add("--batch", type=int, default=64, metavar="N", help="windows encoded at once (64)")
    add("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Encode and say what was made."""
    # JAX and the systems, which the other verbs about data do without.
    from wamjax.cli.encoding import encoded, opened

    if args.batch < 1:
        raise UserError(f"--batch must be at least 1, got {args.batch}.")
    codec = opened(args)
    try:
        plan = encoded(codec, args.workdir, args.out, args.dtype, args.batch)
    except OSError as error:
        raise UserError(
            f"{error.filename or args.out} cannot be read or written ({error.strerror or error}): "
            "see to it, then start again; what is finished is kept."
        ) from error
    size = plan.windows * plan.window_bytes
    if args.json:
        told = {"windows": plan.windows, "shape": list(plan.shape), "bytes": size}
        print(json.dumps({"latents": str(args.out), "codec": plan.codec, **told}, indent=2))
        return
    shape = " x ".join(map(str, plan.shape))
    print(
        f"{plan.windows} windows of {shape} {plan.dtype}, {size / 1e6:.1f} MB in {plan.shards} "
        f"shards\nlatents: {args.out}"
    )
