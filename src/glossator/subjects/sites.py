"""Finding a model's sites from its module tree and config, without a table of model classes.

Families name their layers in many ways but build them alike: a list of as many blocks as the config counts layers; in
each, an attention whose last projection returns to the hidden width, and a feed-forward whose last projection does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from glossator.errors import UserError, near_matches

if TYPE_CHECKING:
    from torch import nn

Side = Literal["input", "output"]
Layout = Literal["batch", "flat", "positions", "channels"]
ALIAS_KINDS = ("mlp", "attn", "head", "resid")
MLP_IN, MLP_OUT, INPUT = "mlp-in", "mlp-out", ".input"
"""Sites that dictionaries read and write, which are not listed; and what makes a module's path name its input."""


@dataclass(frozen=True)
class SiteInfo:
    """A named place in a subject: the input or the output of one module, `width` numbers a token.

    kind is 'sparse' where most values are exactly zero (ReLU neurons). heads is set for `head.L`, whose index is
    head * head_dim + i. width is None for a dotted path until it has been run once.

    What a short pass tells (`TransformerSubject.site`): layout, the order of the module's own dimensions, None until
    then: 'batch' for (rows, positions, width), 'flat' for (rows * positions, width), 'positions' for (positions, rows,
    width), 'channels' for (rows, width, positions); values are handed out as (rows, positions, width) whichever it is.
    scale: the factor, one or one for each dimension, by which what the module gives is multiplied on its way into the
    residual stream, None if it is not added there as it is; values of an `attn.L` are handed out times it.
    """

    name: str
    width: int | None
    kind: Literal["dense", "sparse"]
    module: str
    side: Side
    heads: int | None = None
    layout: Layout | None = field(default=None, compare=False)
    scale: float | tuple[float, ...] | None = field(default=None, compare=False)

    @property
    def grid(self) -> None:
        """The tokens of windows, however many these are."""
        return None


def projection_shape(module: Any) -> tuple[int, int] | None:
    """(inputs, outputs) of a linear layer or of GPT-2's transposed `Conv1D`; None for anything else."""
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    if hasattr(module, "nx") and hasattr(module, "nf"):
        return int(module.nx), int(module.nf)
    return None


def _text_config(config: Any) -> Any:
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def find_blocks(model: nn.Module, config: Any) -> tuple[str, nn.ModuleList] | None:
    """The list of layers: the largest `ModuleList` that has `num_hidden_layers` members; None when there is none."""
    from torch import nn

    layers = getattr(_text_config(config), "num_hidden_layers", None)
    best: tuple[int, str, nn.ModuleList] | None = None
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            size = sum(p.numel() for p in module.parameters())
            if best is None or size > best[0]:
                best = (size, name, module)
    return None if best is None else (best[1], best[2])


def _attention_name(block: nn.Module) -> str | None:
    """Path of the block's own attention: the outermost, not crossing, module named so that holds projections."""
    of_a_class = None  # where names say nothing ("mixer"), the name of the class may
    for name, module in block.named_modules():
        last = name.rpartition(".")[2].lower()
        holds = any(projection_shape(m) for _, m in module.named_modules() if m is not module)
        if name and holds and "cross" not in last and "encoder_" not in last and "norm" not in last:
            if "att" in last:
                return name
            if of_a_class is None and re.search("attention$", type(module).__name__.lower()):
                of_a_class = name
    return of_a_class


def _projections(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    for name, child in module.named_modules(prefix=prefix):
        if shape := projection_shape(child):
            yield name, shape


def _intermediate(config: Any, hidden: int) -> int | None:
    for key in ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff", "hidden_dim"):
        if isinstance(value := getattr(config, key, None), int):
            return value
    return 4 * hidden if hasattr(config, "n_inner") else None


def _block_sites(name: str, block: nn.Module, layer: int, config: Any) -> Iterator[SiteInfo]:
    hidden, heads = int(config.hidden_size), getattr(config, "num_attention_heads", None)
    attention = _attention_name(block)
    if attention is not None:
        inside = list(_projections(block.get_submodule(attention), attention))
        back = [(path, shape) for path, shape in inside if shape[1] == hidden]
        if back:
            path, (width, _) = back[-1]
            yield SiteInfo(f"attn.{layer}", hidden, "dense", f"{name}.{path}", "output")
            divides = isinstance(heads, int) and width % heads == 0
            yield SiteInfo(f"head.{layer}", width, "dense", f"{name}.{path}", "input", heads if divides else None)
    outside = [
        (path, shape)
        for path, shape in _projections(block)
        if not any("att" in part.lower() for part in path.split("."))
        and (attention is None or not path.startswith(f"{attention}."))
    ]
    wanted = _intermediate(config, hidden)
    back = [(path, shape) for path, shape in outside if shape[1] == hidden]
    down = [one for one in back if one[1][0] == wanted] or [one for one in back if one[1][0] > hidden]
    # With experts there is no one down projection that every token enters.
    if down and not any("expert" in path for path, _ in outside):
        path, (width, _) = down[-1]
        act = str(getattr(config, "hidden_act", getattr(config, "activation_function", "")))
        kind: Literal["dense", "sparse"] = "sparse" if re.fullmatch(r"relu2?", act) else "dense"
        yield SiteInfo(f"mlp.{layer}", width, kind, f"{name}.{path}", "input")
    yield SiteInfo(f"resid.{layer}", hidden, "dense", name, "output")


def find_sites(model: nn.Module) -> list[SiteInfo]:
    """All aliased sites of a model that carries a `config`, ordered by kind (mlp, attn, head, resid), then layer.

    `mlp.L` the values that enter the feed-forward's down projection; `attn.L` the output of attention's output
    projection, which `TransformerSubject.site` moves to what is added to the stream where more follows; `head.L`
    per-head outputs, the input of that projection; `resid.L` the block output.
    """
    config = _text_config(model.config)
    found = find_blocks(model, config)
    if found is None or not hasattr(config, "hidden_size"):
        return []
    path, blocks = found
    sites = [s for i, block in enumerate(blocks) for s in _block_sites(f"{path}.{i}", block, i, config)]
    return sorted(sites, key=lambda s: (ALIAS_KINDS.index(s.name.partition(".")[0]), int(s.name.partition(".")[2])))


def resolve_site(model: nn.Module, name: str, sites: list[SiteInfo] | None = None) -> SiteInfo:
    """The site called `name`: an alias such as `mlp.5`; `mlp-in.5` and `mlp-out.5`, what the feed-forward of a layer is
    given and what it adds to the stream; or a dotted module path, its output, or its input with `.input` behind it.

    Raises `UserError` with the near matches when neither exists.
    """
    sites = find_sites(model) if sites is None else sites
    for site in sites:
        if site.name == name:
            return site
    modules = dict(model.named_modules())
    if name and name in modules:
        shape = projection_shape(modules[name])
        return SiteInfo(name, shape[1] if shape else None, "dense", name, "output")
    if name.endswith(INPUT) and (path := name.removesuffix(INPUT)) in modules:
        shape = projection_shape(modules[path])
        return SiteInfo(name, shape[0] if shape else None, "dense", path, "input")
    if (around := _around_mlp(modules, name, sites)) is not None:
        return around
    kinds = {s.name.partition(".")[0] for s in sites}
    kind = name.partition(".")[0]
    if kind in kinds:
        layers = sorted(int(s.name.partition(".")[2]) for s in sites if s.name.startswith(kind + "."))
        raise UserError("no such site", value=name, allowed=f"{kind}.{layers[0]} to {kind}.{layers[-1]}")
    known = [s.name for s in sites] or [path for path in modules if path]
    if not sites and kind in ALIAS_KINDS:
        raise UserError(
            "this model has no numbered layers (it shares one among all, or lists none)",
            value=name,
            allowed=f"a dotted module path: {near_matches(name, known)}",
        )
    raise UserError(
        "no such site", value=name, allowed=near_matches(name, known), fix="Or use a dotted module path of the model"
    )


def _around_mlp(modules: dict[str, Any], name: str, sites: list[SiteInfo]) -> SiteInfo | None:
    """`mlp-in.L`, the input of the first projection of a layer's feed-forward, or `mlp-out.L`, the output of its last
    one, which `TransformerSubject.site` moves to what is added to the stream; None where the layer has no `mlp.L`."""
    kind, _, layer = name.partition(".")
    down = next((site for site in sites if site.name == f"mlp.{layer}"), None)
    if kind not in (MLP_IN, MLP_OUT) or down is None:
        return None
    written = projection_shape(modules[down.module])
    hidden = None if written is None else written[1]
    if kind == MLP_OUT:
        return SiteInfo(name, hidden, "dense", down.module, "output")
    ups = [
        path
        for path, module in modules.items()
        if (shape := projection_shape(module)) and shape[0] == hidden and shape[1] >= (down.width or 0)
        if _block_of(path) == _block_of(down.module) and not any("att" in part.lower() for part in path.split("."))
    ]
    return SiteInfo(name, hidden, "dense", ups[0], "input") if ups else None


def _block_of(path: str) -> str:
    """A path up to the number of its layer."""
    found = re.match(r".*?\.\d+(?=\.|$)", path)
    return path if found is None else found[0]
