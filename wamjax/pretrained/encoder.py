"""Rules for the layers of `codec.encoder`, which name tables of encoders are put together from.

`theirs` are names without ".weight" and ".bias"; all of them are weights of PyTorch.
"""

from wamjax.pretrained.table import Rule

ACROSS = "o i -> i o"
HEADS_IN = "(h d) w -> w h d"
HEADS_OUT = "w (h d) -> h d w"


def norm(theirs: str, ours: str) -> tuple[Rule, ...]:
    """Weights and biases of a layer norm."""
    return Rule(f"{theirs}.weight", f"{ours}/scale"), Rule(f"{theirs}.bias", f"{ours}/bias")


def qkv(*theirs: str, bias: bool = True) -> tuple[Rule, ...]:
    """Queries, keys and values, each a map of its own."""
    rules = []
    for place, name in enumerate(theirs):
        rules.append(Rule(f"{name}.weight", "layers/qkv/kernel", HEADS_IN, slot=(1, place)))
        if bias:
            rules.append(Rule(f"{name}.bias", "layers/qkv/bias", "(h d) -> h d", slot=(0, place)))
    return tuple(rules)


def qkv_in_one(theirs: str) -> tuple[Rule, ...]:
    """Queries, keys and values of one map, one behind the other; the size of s is 3."""
    return (
        Rule(f"{theirs}.weight", "layers/qkv/kernel", "(s h d) w -> w s h d"),
        Rule(f"{theirs}.bias", "layers/qkv/bias", "(s h d) -> s h d"),
    )


def out(theirs: str, *, bias: bool = True) -> tuple[Rule, ...]:
    """Attention's last map."""
    weight = Rule(f"{theirs}.weight", "layers/out/kernel", HEADS_OUT)
    return (weight, Rule(f"{theirs}.bias", "layers/out/bias")) if bias else (weight,)


def mlp(*, bias: bool = True, **theirs: str) -> tuple[Rule, ...]:
    """The maps of the feed-forward part: up, gate, down."""
    rules = []
    for ours, name in theirs.items():
        rules.append(Rule(f"{name}.weight", f"layers/{ours}/kernel", ACROSS))
        if bias:
            rules.append(Rule(f"{name}.bias", f"layers/{ours}/bias"))
    return tuple(rules)
