"""The model card of an exported run: README.md with the front matter that model hubs read.

Every value is one of the run's own files; what they do not tell is said to be unknown. The front
matter is YAML, of which JSON's strings and lists are a part.
"""

import json
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from wamjax.core.config import fingerprint
from wamjax.core.files import read_json
from wamjax.pretrained.convert import REQUEST
from wamjax.pretrained.licences import LICENCES, Licence
from wamjax.pretrained.licences import UNKNOWN as NOT_KNOWN

# Setting of a run -> its value -> the weights that it brings, a key of LICENCES.
BROUGHT: Mapping[tuple[str, ...], Mapping[Any, str]] = {
    ("system", "codec", "kind"): {"wan21": "wan", "wan22": "wan", "ltx": "ltx"},
    ("system", "text", "kind"): {"minilm": "minilm"},
}
# How model hubs write the names of licences; others are "other", with name and page.
HUB_NAMES = {
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0",
    "Gemma Terms of Use": "gemma",
}
UNKNOWN, START, CONFIG = "unknown", "start.json", "config.json"


def inherited(
    config: Mapping[str, Any], start: Mapping[str, Any] | None = None
) -> dict[str, Licence]:
    """Licences of the pretrained weights in a run, by what they are of.

    Args:
        config: of the run, as JSON.
        start: what `start.json` tells, if the run began with other weights than fresh ones.
    """
    found = {}
    for path, brings in BROUGHT.items():
        value = _at(config, *path)
        if value in brings:
            found[f"{path[1]} ({value})"] = LICENCES[brings[value]]
    began = _at(config, "train", "start")
    if start is not None:
        for of, told in start["licences"].items():
            found[of] = Licence(told["name"], told["page"], False)
    elif began is not None:
        found["weights it started from"] = Licence(NOT_KNOWN, began, False)
    return found


def licences_of(folder: pathlib.Path) -> dict[str, Licence]:
    """Licences of weights in a folder: a conversion, an exported run or a workdir."""
    request = read_json(folder / REQUEST) if (folder / REQUEST).is_file() else {}
    if "family" in request:
        told = request["licence"]
        return {f"weights ({request['family']})": Licence(told["name"], told["page"], False)}
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    return inherited(config, start_of(folder))


def start_of(folder: pathlib.Path) -> dict[str, Any] | None:
    """What is told of the weights that a run began with; None where it began with fresh ones."""
    return read_json(folder / START) if (folder / START).is_file() else None


def _at(config: Mapping[str, Any], *path: str) -> Any:
    """A setting; None where there is none."""
    value: Any = config
    for key in path:
        value = value[key] if isinstance(value, Mapping) and key in value else None
    return value


def front_matter(config: Mapping[str, Any], licences: Mapping[str, Licence]) -> dict[str, Any]:
    """What stands between the lines of dashes."""
    names = sorted({one.name for one in licences.values()})
    system = {"system": {}, **config}["system"]
    kind = [str(system[key]) for key in ("recipe", "training") if key in system]
    told: dict[str, Any] = {"license": UNKNOWN if not names else "other"}
    if len(names) == 1 and names[0] in HUB_NAMES:
        told["license"] = HUB_NAMES[names[0]]
    elif names:
        told["license_name"] = " and ".join(names)
        told["license_link"] = sorted({one.page for one in licences.values()})[0]
    tags = ["robotics", "jax", *kind]
    return {**told, "library_name": "wamjax", "pipeline_tag": "robotics", "tags": tags}


def model_card(
    *,
    config: Mapping[str, Any],
    statistics: Mapping[str, Any],
    training: Mapping[str, Any],
    final: Mapping[str, Any] | None,
    start: Mapping[str, Any] | None,
    whose: Mapping[str, Any],
    parameters: int,
) -> str:
    """The text of README.md.

    Args:
        config, statistics, training, final: the files of `wamjax.train.exported`; no final of a
            run that goes on.
        start: what it began with, see `inherited`.
        whose: run, step and hash of the weights.
        parameters: numbers in the weights.
    """
    licences = inherited(config, start)
    head = [f"{key}: {json.dumps(x)}" for key, x in front_matter(config, licences).items()]
    sections = {
        "Use": _use(config),
        "Training": _training(config, training, final, start, whose, parameters),
        "Data": _data(statistics),
        "Licence": _licence(licences),
        "Versions": _versions(training),
        "Config": ["```json", json.dumps(config, indent=2), "```"],
    }
    lines = ["---", *head, "---", "", f"# {config['name']}", "", _about(final)]
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def _about(final: Mapping[str, Any] | None) -> str:
    rest = "" if final is not None else " The run was not finished."
    return f"Averaged weights of a run of wamjax, a JAX library of world action models.{rest}"


def _use(config: Mapping[str, Any]) -> list[str]:
    name = config["name"]
    return [
        "```",
        f"wamjax convert --to run THIS_FOLDER --out runs/{name}",
        f"wamjax eval --workdir runs/{name}",
        "```",
        "",
        "```python",
        "from wamjax.eval.trained_run import open_run",
        "",
        f'run = open_run("runs/{name}")',
        "policy = run.policy(cameras)  # actions = policy.act(run.weights, observation, key)",
        "```",
    ]


def _training(
    config: Mapping[str, Any],
    training: Mapping[str, Any],
    final: Mapping[str, Any] | None,
    start: Mapping[str, Any] | None,
    whose: Mapping[str, Any],
    parameters: int,
) -> list[str]:
    settings = config["train"]
    rows = {
        "run": whose["run"],
        "step": f"{whose['step']:,}",
        "batch": f"{settings['batch']:,}",
        "parameters": f"{parameters:,}",
        "SHA-256 of the weights": f"`{whose['weights_sha256']}`",
        "config": f"`{training['fingerprint']['config']}`",
        "training, seconds": f"{training['seconds']:.0f}",
        "training, FLOPs": f"{training['flops']:.3g}",
    }
    if start is not None:
        kinds = Counter(start["weights"].values())
        rows["started from"] = ", ".join([start["from"], *(f"{n} {k}" for k, n in kinds.items())])
    if final is not None:
        stages = final["trained_parameters"]
        rows["trained parameters"] = ", ".join(f"{k} {n:,}" for k, n in stages.items())
        rows |= {name: f"{value:.4g}" for name, value in final["losses"].items()}
        rows["device"] = final["device"]
    return _table(rows)


def _data(statistics: Mapping[str, Any]) -> list[str]:
    lines = [f"Statistics: `{fingerprint(statistics)}`, in `statistics.json`."]
    for name, own in _data_sets(statistics):
        told = {"fingerprint": None, **own}["fingerprint"]
        rows = {"fingerprint": UNKNOWN if told is None else f"`{fingerprint(told)}`"}
        rows |= {key: f"{own[key]:,}" for key in ("episodes", "steps") if key in own}
        lines += ["", f"### {name}", "", *_table(rows)]
        for what in ("action", "proprio"):
            lines += ["", *_moments(what, own[what])] if what in own else []
    return lines


def _data_sets(statistics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "members" in statistics:
        yield from statistics["members"].items()
        return
    told = statistics["fingerprint"]["data"] if "fingerprint" in statistics else {}
    names = [str(told[key]) for key in ("name", "version", "split") if key in told]
    yield " ".join(names) or "data", statistics


def _moments(what: str, moments: Mapping[str, Any]) -> list[str]:
    names = [name for name, values in moments.items() if isinstance(values, list)]
    lines = [f"| {what} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for place, row in enumerate(zip(*(moments[name] for name in names), strict=True)):
        lines.append(f"| {place} | {' | '.join(f'{value:.4g}' for value in row)} |")
    return lines


def _licence(licences: Mapping[str, Licence]) -> list[str]:
    if not licences:
        return [
            "No pretrained weights went into this run, so there is no licence to inherit: state",
            "your own, here and in the first lines of this file.",
        ]
    rows = {of: f"{one.name}, {one.page}" for of, one in licences.items()}
    return [
        "Pretrained weights went into this run; their terms hold for these weights, too. They are",
        "told as wamjax knows them: read the publisher's page.",
        "",
        *_table(rows),
    ]


def _versions(training: Mapping[str, Any]) -> list[str]:
    told = {"source": UNKNOWN, **training}
    return _table({"wamjax": told["source"], **told["versions"]})


def _table(rows: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]
