"""The shape of a transformer, as values: stacks of layers, experts inside them, ports for streams.

    stack    `depth` layers in which the tokens of all its experts share one attention
    expert   a set of weights for some of these tokens (width, norms, feed-forward part)
    port     how a stream enters an expert (or a memory) and how it leaves as a prediction

The five couplings of actions to video are three values here:

    trunk         one stack, one expert, both streams
    latent_frame  the same; the actions are painted into latent frames before they get here
    mot           one stack, an expert per stream (shared attention, arXiv 2411.04996)
    layer_cross   two stacks; the second cross-attends to the first one's layer of the same depth
    tap_cross     two stacks; the second cross-attends to what the first one ends with

A stack can also take over tokens from an earlier one (an image encoder that feeds a language model,
a head on read-out tokens): `Take`.
"""

import dataclasses
from typing import Literal

from wamjax.core.config import later
from wamjax.model.segments import Stream

Norm = Literal["layer", "rms"]
Activation = Literal["gelu", "exact_gelu", "geglu", "swiglu", "relu", "silu"]
Modulation = Literal["none", "adaln", "table", "low_rank"]
QkNorm = Literal["none", "head", "full"]
Embed = Literal[
    "linear", "mlp", "relu_mlp", "silu_mlp", "normed_mlp", "timed", "timed_linear", "words", "as_is"
]
Head = Literal["none", "modulated", "table", "low_rank", "plain", "linear", "relu_mlp", "residual"]
Positions = Literal["grid", "line", "count", "none"]
Remat = Literal["none", "dots", "products", "full", "offload", "offload_products"]
Attention = Literal["auto", "xla", "cudnn", "splash"]
Spread = Literal["auto", "gather", "ulysses"]
Quantize = Literal["none", "int8", "fp8"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """Features of the noise level: cosines and sines at geometric frequencies, then two layers.

    Attributes:
        features: how many, even.
        scale: sigma is multiplied by it first.
        fastest, slowest: radians per unit of scaled sigma.
        closed: the slowest frequency is itself one of them (Wan's and pi0's grids differ).
        sines_first: sines stand before cosines.
    """

    features: int = 64
    scale: float = 1.0
    fastest: float = 2000 * 3.141592653589793
    slowest: float = 2 * 3.141592653589793
    closed: bool = True
    sines_first: bool = later(False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rotary:
    """Rotary positions over (time, row, column).

    Attributes:
        pairs: of a head for each axis; None deals a third to rows and columns, the rest to time.
        base: of the frequencies; stretch multiplies the reach of each axis (NTK ratios).
        adjacent: pairs are (0, 1), (2, 3), ... instead of (i, i + head_dim / 2).
        canvas: times, rows and columns of the largest video. Positions are parts of it, and pairs
            run over the width of all heads instead of one, see model.rotary (LTX); `pairs` and
            `stretch` are then not looked at.
        line: the length of the longest line, likewise for positions on a line (GE-Act's actions).
    """

    pairs: tuple[int, int, int] | None = None
    base: float = 100.0
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    adjacent: bool = False
    canvas: tuple[float, float, float] | None = later(None)
    line: float = later(0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cross:
    """Cross-attention to a memory, between attention and the feed-forward part.

    Attributes:
        memory: name of a memory that ports fill, or of an earlier stack.
        layer: under a stack's name: its output at the "same" depth, or its "last" one.
        norm: norm the queries' tokens first, with weights of its own.
        beside: another memory that ports fill, with keys of its own. The same queries read both,
            and what they read is added (the image branch of Wan 2.1).
    """

    memory: str
    layer: Literal["same", "last"] = "last"
    norm: bool = True
    beside: str = later("")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expert:
    """One set of weights inside a stack.

    Attributes:
        name: unique in the whole model.
        width, mlp: of its tokens, and of the feed-forward part.
        activation: of the feed-forward part; geglu and swiglu are gated, and all but exact_gelu
            take GELU's tanh form.
        norm: before attention and before the feed-forward part; without modulation it has weights,
            unless `norm_weights` is off. eps is added to the variance.
        from_one: weights of norms are counted from one, as Gemma stores them.
        norm_out: norm the tokens behind the last layer, with weights.
        modulation: how the noise level acts. adaln: six vectors per layer from the level
            (arXiv 2212.09748). table: six vectors from one shared projection plus a learned table
            per layer (PixArt, Wan, LTX). low_rank: the shared projection plus one of rank `rank`
            per layer and part, cross-attention included, without biases (Cosmos). none: not at all.
        qk_norm: RMS norm of queries and keys, over a head or over all heads at once; qk_eps is
            added to the mean square.
        bias: of all linear maps in the layers; those of attention have none without
            `attention_bias`.
        cross: cross-attention, if any.
        clock: features of the noise level.
        jump: features of the length of a jump (see flow.jumps), beside those of the level; None
            where predictions are not told it.
        views: cameras that have a vector each, which is added to that of the noise level, and a map
            of it to the six of each layer (GE-Act); only for modulation "table". 0 for none.

    Raises:
        ValueError: views without such a modulation.
    """

    name: str
    width: int
    mlp: int
    activation: Activation = "gelu"
    norm: Norm = "layer"
    norm_weights: bool = later(True)
    eps: float = later(1e-6)
    from_one: bool = later(False)
    norm_out: bool = later(False)
    modulation: Modulation = "adaln"
    rank: int = 256
    qk_norm: QkNorm = "none"
    qk_eps: float = later(1e-6)
    bias: bool = True
    attention_bias: bool = later(True)
    cross: Cross | None = None
    clock: Clock = Clock()
    jump: Clock | None = None
    views: int = later(0)

    def __post_init__(self) -> None:
        if self.views and self.modulation != "table":
            raise ValueError(
                f"expert {self.name} has vectors of cameras: they need modulation 'table', "
                f"not {self.modulation!r}"
            )

    @property
    def reads(self) -> dict[str, Cross]:
        """What it cross-attends to, by a name that is unique in the model."""
        if self.cross is None:
            return {}
        beside = self.cross.beside
        more = {f"{self.name}_{beside}": Cross(memory=beside)} if beside else {}
        return {self.name: self.cross} | more

    @property
    def parts(self) -> int:
        """Parts of a layer that are modulated by a shift, a scale and a gate each."""
        if self.modulation == "none":
            return 0
        return 3 if self.modulation == "low_rank" and self.cross is not None else 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """Tokens that a stack takes over from an earlier one.

    Attributes:
        stack: the earlier one.
        kinds: which of its tokens, as the visibility tables name them.
        expert: of this stack, which gets them.
        mapped: through a linear map; without one the widths must be equal.
        add: instead of joining the sequence, their mean is added to every token of that expert.
    """

    stack: str
    kinds: tuple[str, ...]
    expert: str
    mapped: bool = True
    add: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stack:
    """`depth` layers, scanned.

    Attributes:
        name: unique in the model; must not be the name of a memory.
        heads, kv_heads, head_dim: attention heads of all its experts; kv_heads 0 means `heads`.
            Without heads (0) the layers are feed-forward only.
        experts: in the order in which their tokens stand.
        rotary: None for no rotary positions.
        takes: tokens from earlier stacks.
        by_view: cameras do not see one another here, whatever the visibility table says.
        meet_every: but in the first layer, and in every so many-th one behind it, they do (GE-Act);
            0 for never.

    Raises:
        ValueError: rotary positions over all heads, which are shared by fewer key heads.
    """

    name: str
    depth: int
    heads: int
    head_dim: int
    experts: tuple[Expert, ...]
    kv_heads: int = 0
    rotary: Rotary | None = Rotary()
    takes: tuple[Take, ...] = ()
    by_view: bool = False
    meet_every: int = later(0)

    def __post_init__(self) -> None:
        wide = self.rotary is not None and (self.rotary.canvas or self.rotary.line)
        if wide and self.key_heads != self.heads:
            raise ValueError(
                f"stack {self.name}: a rotary canvas or line needs as many key heads as "
                f"heads, not {self.key_heads} and {self.heads}"
            )

    @property
    def key_heads(self) -> int:
        return self.kv_heads or self.heads


@dataclasses.dataclass(frozen=True, kw_only=True)
class Port:
    """How a stream enters and leaves.

    Attributes:
        stream: which.
        into: an expert's name, or the name of a memory for cross-attention. A stream may have
            several ports: the first is its home, the others fill memories.
        through: another stream with a port into the same place: one linear map to the width of its
            values, and from there by that port's own maps (FastWAM's proprio is a word of the
            text). The map is that of all ports through one stream; with embed as_is there is none,
            and both are as wide (GE-Act's state). Empty for maps of its own.
        embed: linear; mlp: two layers with GELU; relu_mlp: two with ReLU, `hidden` wide between
            them (DreamZero); silu_mlp: three with SiLU (Motus); normed_mlp: two between two norms,
            with GELU's exact form (Wan's image features); timed: linear, beside features of the
            noise level, then two layers with SiLU (pi0); timed_linear: one layer on value and
            features (X-VLA); words: rows of a table, for integer values; as_is: not at all.
        scaled: words are multiplied by the root of the width (Gemma).
        width: of the tokens under a memory; an expert has its own.
        place: learned positions. kind: a learned vector per (stream, copy, view, block).
        fixed_place: sines and cosines of the time of each token at frequencies 10000^(-2 i / width)
            are added.
        positions: rotary positions: the grid, time alone over the whole head ("line"), how many
            real tokens of the stack stand before it, also over the whole head ("count": padding
            takes no room), or none.
        head: how predictions leave: modulated (norm, scale and shift from the level, zero start),
            table (the same with a learned table, Wan), low_rank (the same with a low-rank map,
            Cosmos), plain (norm with weights, linear), linear (no norm and no level), relu_mlp
            (two layers with ReLU, `hidden` wide between them, likewise), residual (OpenVLA-OFT's
            two residual layers), none.
        heads: so many heads of that kind read the same tokens, each with weights of its own; their
            predictions stand side by side (a mean and its log-scale).
        behind: the stack behind which the heads read; by default the last one that holds the
            tokens. For tokens that a later stack takes over, but that are predicted before it.
        bias: of the linear maps from values and to predictions.
        hidden: width between the two layers of relu_mlp, of both ends.
        clock: features of the noise level under timed and timed_linear; None for the expert's.
        norm: of the head; that of the expert where it is empty.
        level_of: given tokens stand at the noise level of that stream's first token in the same
            block, which must enter in the same pass (DreamZero's states); empty for level 0, or
            what is told, see model.route.levels_of.
        own_level: its tokens' noise levels have a vector with weights of its own, not the expert's.
        shared_table: heads of the kind table with one name here have one table.
        out: width of a head's predictions, where it is not that of the values.
        merge: so many neighbouring tokens make one prediction (OpenVLA-OFT reads the hidden states
            of all dimensions of a step at once).
        domains: so many sets of weights at the edge, chosen per sample (X-VLA); 0 for one.
        film: the mean of that stream's tokens, as they enter, scales and shifts this one's; empty
            for nothing. Both streams' segments enter in the same pass.
    """

    stream: Stream
    into: str
    through: Stream | Literal[""] = later("")
    embed: Embed = "linear"
    scaled: bool = later(False)
    width: int = 0
    place: bool = False
    fixed_place: bool = later(False)
    kind: bool = True
    positions: Positions = "grid"
    head: Head = "none"
    heads: int = 1
    behind: str = ""
    bias: bool = later(True)
    hidden: int = later(0)
    clock: Clock | None = later(None)
    norm: Norm | Literal[""] = later("")
    level_of: Stream | Literal[""] = later("")
    own_level: bool = later(False)
    shared_table: str = later("")
    out: int = 0
    merge: int = 1
    domains: int = 0
    film: Stream | Literal[""] = ""


@dataclasses.dataclass(frozen=True)
class Ways:
    """How layers compute what they compute; settings of `WamConfig`."""

    attention: Attention = "auto"
    sequence: Spread = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    quantize: Quantize = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WamConfig:
    """A whole model.

    Attributes:
        stacks: in the order in which they run.
        ports: at least one per stream.
        patch: side of the square of latents that makes one video token.
        dtype: compute type of the matrix products; weights, norms and softmax stay float32.
        remat: what the backward pass makes anew in each layer, and what it finds kept, see
            model.remat.
        scan_layers: a stack is one loop over stacked weights, or its layers stand one behind the
            other with weights of their own (see model.stacking). Small models on a CPU run faster
            so, for a loop copies each layer's weights; they compile longer.
        attention: how it is computed; auto takes what the device and the shape allow, see
            model.backends.
        sequence: what attention does over mesh axis `sequence`: every device gathers the keys of
            all tokens, or tokens are exchanged for heads and back (Ulysses, arXiv 2309.14509).
            auto exchanges wherever the heads divide.
        quantize: products with the layers' weights in eight bits, see model.quantise.

    Raises:
        ValueError: names that are used twice, or that nothing has.
    """

    stacks: tuple[Stack, ...]
    ports: tuple[Port, ...]
    patch: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: Remat = "none"
    scan_layers: bool = True
    attention: Attention = later("auto")
    sequence: Spread = later("auto")
    quantize: Quantize = later("none")

    def __post_init__(self) -> None:
        names = [stack.name for stack in self.stacks]
        experts = [
            name
            for stack in self.stacks
            for expert in stack.experts
            for name in {expert.name: None} | expert.reads
        ]
        ports = [f"{port.stream} into {port.into}" for port in self.ports]
        for what, listed in (("stack", names), ("expert", experts), ("port", ports)):
            twice = sorted({name for name in listed if listed.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {', '.join(twice)} is named twice")
        memories = {port.into for port in self.ports} - {*experts}
        if clash := memories & {*names}:
            raise ValueError(f"{', '.join(sorted(clash))} names both a stack and a memory")
        told = {port.film for port in self.ports if port.film}
        if missing := told - {port.stream for port in self.ports}:
            raise ValueError(
                f"a port is steered by {', '.join(sorted(missing))}, which has no port"
            )
        read = {port.behind for port in self.ports if port.behind}
        if missing := read - {*names}:
            raise ValueError(f"a head reads behind {', '.join(sorted(missing))}, which is no stack")
        self._check_heads()
        self._check_through()
        for place, stack in enumerate(self.stacks):
            known = {*names[:place], *memories}
            wanted = {take.stack for take in stack.takes}
            wanted |= {read.memory for e in stack.experts for read in e.reads.values()}
            if missing := wanted - known:
                raise ValueError(
                    f"stack {stack.name} reads {', '.join(sorted(missing))}, "
                    "which is neither a memory nor an earlier stack"
                )

    def _check_heads(self) -> None:
        for port in self.ports:
            expert = self.expert(port.into)
            low = expert is not None and expert.modulation == "low_rank"
            if (port.head, low) in (("low_rank", False), ("table", True)):
                raise ValueError(
                    f"the head of {port.stream} is {port.head!r}, which needs "
                    f"{'another' if low else 'a low_rank'} modulation of {port.into}"
                )
            if "relu_mlp" in (port.embed, port.head) and port.hidden < 1:
                raise ValueError(f"{port.stream} has relu_mlp: say how wide it is within (hidden)")

    def _check_through(self) -> None:
        for port in self.ports:
            there = [p for p in self.ports if (p.stream, p.into) == (port.through, port.into)]
            if port.through and not any(p.embed != "words" and not p.through for p in there):
                raise ValueError(
                    f"{port.stream} enters {port.into} through {port.through}, which needs a port "
                    "there with maps of its own for values"
                )

    def clock(self, expert: str, stream: Stream) -> str:
        """Whose weights make the vector of a stream's noise levels in an expert."""
        port = self.port(stream)
        return f"{expert}_{stream}" if port.own_level and port.into == expert else expert

    @property
    def ways(self) -> Ways:
        return Ways(self.attention, self.sequence, self.dtype, self.quantize)

    def port(self, stream: Stream) -> Port:
        """How `stream` enters its home.

        Raises:
            ValueError: it has no port.
        """
        for port in self.ports:
            if port.stream == stream:
                return port
        raise ValueError(f"the model has no port for the stream {stream!r}")

    def feeds(self, memory: str) -> dict[Stream, Port]:
        """The ports that fill a memory, by stream."""
        return {port.stream: port for port in self.ports if port.into == memory}

    def expert(self, name: str) -> Expert | None:
        """The expert of that name; None for a memory."""
        found = [e for stack in self.stacks for e in stack.experts if e.name == name]
        return found[0] if found else None

    def stack(self, name: str) -> Stack | None:
        """The stack of that name; None for a memory."""
        found = [stack for stack in self.stacks if stack.name == name]
        return found[0] if found else None

    def memories(self) -> dict[str, int]:
        """Memory name -> width of its tokens."""
        return {p.into: p.width for p in self.ports if self.expert(p.into) is None}
