"""What the readers of all layouts of dictionaries share: configs, tensors by name, sites from hook names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from glossator.errors import UserError
from glossator.files import read_json
from glossator.readouts.dictionary import MANIFEST, Dictionary, Normalization
from glossator.readouts.hook_names import site_of_name

Tensors = dict[str, torch.Tensor]
WRITE_MAPPING = f"Or write a {MANIFEST} that says which tensor is what (docs/dictionaries.md)"


@dataclass(frozen=True)
class Sites:
    """Where a dictionary reads and writes, and what of it was guessed."""

    reads_at: str
    writes_at: str
    notes: tuple[str, ...] = ()
    normalization: Normalization = "none"

    def noting(self, *notes: str) -> Sites:
        return replace(self, notes=(*self.notes, *notes))


def made_of(
    given: Mapping[str, torch.Tensor], sites: Sites, *, where: Path, name: str | None = None, **settings: Any
) -> Dictionary:
    lacking = [key for key in ("encoder", "encoder_bias", "decoder", "decoder_bias") if key not in given]
    if lacking:
        raise UserError("the dictionary lacks a tensor", value=lacking[0], fix=f"{where} does not say which it is")
    settings.setdefault("normalization", sites.normalization)
    name = name or ("sae" if sites.reads_at == sites.writes_at else "transcoder")
    return Dictionary(
        name=name, reads_at=sites.reads_at, writes_at=sites.writes_at, notes=sites.notes, **given, **settings
    )


def sites_of(
    given: str | None,
    read: str | None,
    written: str | None,
    transcoder: bool,
    where: Path,
    read_site: str | None = None,
    write_site: str | None = None,
) -> Sites:
    """Sites from the names of hook points, or `given` where these are not understood; read_site, write_site: those that
    are known already."""
    site = read_site or (site_of_name(read) if read else None)
    notes: list[str] = []
    normalization: Normalization = "none"
    if site is None:
        if given is None:
            raise no_site(str(where), read)
        site = given
        if read and read.endswith("hook_normalized"):
            if not site.endswith(".input"):
                raise no_site(str(where), read)
            normalization = "constant-norm"
            notes.append(f"{where.name}: {read} is read as {site} divided by its root mean square")
    elif given is None:
        notes.append(f"{where.name}: {site}, from {read!r}")
    if not transcoder:
        return Sites(site, site, tuple(notes), normalization)
    target = write_site or (site_of_name(written) if written else None)
    if target is None:
        if (layer := layer_in(site)) is None:
            raise no_site(str(where), written)
        target = f"mlp-out.{layer}"
        notes.append(f"{where.name}: taken to write at {target}; its files say {written or 'nothing'}")
    return Sites(site, target, tuple(notes), normalization)


def layer_in(site: str) -> int | None:
    """The layer that a site's name holds."""
    found = re.search(r"(?:^|\.)(\d+)(?:\.|$)", site)
    return None if found is None else int(found[1])


def no_site(where: str, hook: str | None) -> UserError:
    fix = "Name it: PATH@SITE, such as PATH@resid.5"
    if hook and hook.endswith("hook_normalized"):
        fix = "Name the input of that norm: PATH@model.layers.5.post_attention_layernorm.input, as the model calls it"
    return UserError(f"the site of the dictionary is not known ({hook or 'no hook name'})", value=where, fix=fix)


def with_unit_decoder(given: Tensors) -> Tensors:
    """The same with decoder rows of norm 1, activations scaled by what these norms were."""
    norms = given["decoder"].float().norm(dim=1)
    return given | {
        "encoder": given["encoder"].float() * norms[:, None],
        "encoder_bias": given["encoder_bias"].float() * norms,
        "decoder": given["decoder"].float() / norms[:, None],
    }


def read_safetensors(file: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: Tensors = load_file(file)
    except FileNotFoundError as error:
        raise UserError("the dictionary's weights are missing", value=str(file)) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError("the dictionary cannot be read", value=str(file), fix=f"It is damaged: {error}") from error
    return found


def need(tensors: Mapping[str, torch.Tensor], key: str, file: Path) -> torch.Tensor:
    if key not in tensors:
        raise lacks(key, tensors, file)
    return tensors[key]


def lacks(key: str, tensors: Mapping[str, torch.Tensor], file: Path) -> UserError:
    return UserError(
        "the dictionary lacks a tensor", value=key, allowed=f"{file.name} has {', '.join(sorted(tensors)) or 'none'}",
        fix=WRITE_MAPPING,
    )  # fmt: skip


def read_config(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(file, "the dictionary's config", "Get it again")
    return found


def table(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = config.get(key)
    return dict(found) if isinstance(found, Mapping) else {}


def flat_yaml(file: Path) -> dict[str, str]:
    """The `key: value` lines of a file."""
    if not file.is_file():
        return {}
    lines = (line.partition(":") for line in file.read_text("utf-8").splitlines() if line[:1].isalpha())
    return {key: value.strip().strip("'\"") for key, _, value in lines if value.strip()}
