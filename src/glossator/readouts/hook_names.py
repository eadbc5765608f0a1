"""The names that other packages give to places in a model, as sites.

TransformerLens counts hooks in blocks (`blocks.5.hook_resid_post`), sparsify and Gemma Scope 2 name modules
(`layers.5.mlp`, `model.layers.5.output`), dictionary_learning writes what its user called a module.
"""

from __future__ import annotations

import re

_OF_BLOCK = {
    "hook_resid_post": "resid", "hook_out": "resid",
    "hook_mlp_out": "mlp-out", "mlp.hook_out": "mlp-out", "mlp.hook_in": "mlp-in", "mlp.hook_post": "mlp",
    "hook_attn_out": "attn", "attn.hook_out": "attn", "attn.hook_z": "head",
}  # fmt: skip
_OF_MODULE = {
    "": ("resid", "resid"),
    "mlp": ("mlp-in", "mlp-out"),
    "feed_forward": ("mlp-in", "mlp-out"),
    "pre_feedforward_layernorm": (None, "mlp-in"),
    "post_feedforward_layernorm": (None, "mlp-out"),
    "attn": (None, "attn"),
    "attention": (None, "attn"),
    "self_attn": (None, "attn"),
    "self_attn.o_proj": ("head", "attn"),
    "mlp.down_proj": ("mlp", "mlp-out"),
}
_BLOCKS = r"(?:^|.*\.)(?:layers|layer|h|blocks)[._](\d+)"


def site_of_hook(name: str) -> str | None:
    """The site of a TransformerLens hook point, None where it is none of ours: `hook_resid_mid`, and what a norm gives
    before its weights (`ln2.hook_normalized`), is the output of no module."""
    if (found := re.fullmatch(r"blocks\.(\d+)\.(\S+)", name)) is None:
        return None
    layer, place = int(found[1]), found[2]
    if place in ("hook_resid_pre", "hook_in"):
        return f"resid.{layer - 1}" if layer else None
    return f"{_OF_BLOCK[place]}.{layer}" if place in _OF_BLOCK else None


def hook_of_site(site: str) -> str:
    """The hook point of TransformerLens at one of our sites, the site itself where it has none."""
    kind, _, layer = site.partition(".")
    place = next((place for place, own in _OF_BLOCK.items() if own == kind), None)
    return f"blocks.{layer}.{place}" if place and layer.isdigit() else site


def site_of_module(name: str, side: str = "output") -> str | None:
    """The site of the input or the output of a module, which a name may say at its end; None where it is none of
    ours."""
    for end in ("input", "output"):
        if name.endswith(f".{end}"):
            name, side = name.removesuffix(f".{end}"), end
    if (found := re.fullmatch(_BLOCKS + r"(?:\.(\S+))?", name)) is None:
        return None
    layer, inside = int(found[1]), found[2] or ""
    kind = _OF_MODULE.get(inside, (None, None))[side == "output"]
    if kind == "resid" and side == "input":
        return f"resid.{layer - 1}" if layer else None
    return None if kind is None else f"{kind}.{layer}"


def site_of_name(name: str) -> str | None:
    """The site of a hook point or of a module's output."""
    return site_of_hook(name) or site_of_module(name)


def site_of_layer(layer: int, called: str) -> str | None:
    """The site of layer L where a config says in words what is read there, such as `resid_post_layer_5`, `mlp_out`."""
    words = called.lower()
    for pattern, kind in ((r"mlp.?out", "mlp-out"), (r"attn|attention", "attn"), (r"resid|^$|^layer", "resid")):
        if re.search(pattern, words):
            return None if re.search("pre|mid", words) else f"{kind}.{layer}"
    return None


def same_model(one: str, other: str) -> bool:
    """Whether two names may be of one model: the words of one are among those of the other, owners left out
    (`google/gemma-2-2b`, `gemma-2-2b-it` may be one, `gpt2-small`, `smollm2-135m` may not)."""
    words = [set(re.split(r"[^a-z0-9]+", name.rstrip("/").rpartition("/")[2].lower())) - {""} for name in (one, other)]
    return not all(words) or words[0] <= words[1] or words[1] <= words[0]
