"""Reading dictionaries of other packages: which files a folder holds says whose they are.

SAELens (`cfg.json`, `sae_weights.safetensors`), sparsify (`cfg.json`, `sae.safetensors`), Gemma Scope (`params.npz`, 2:
`params.safetensors`), dictionary_learning (`ae.pt`, without unpickling), sets of transcoders of circuit-tracer
(`layer_5.safetensors`), and any safetensors file with a `dictionary.json` that says which tensor is what.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glossator.errors import UserError
from glossator.files import read_json, sha256_of
from glossator.readouts.dictionary import FORMAT, MANIFEST, TENSORS, WEIGHTS, Dictionary
from glossator.readouts.dictionary_files import (
    WRITE_MAPPING,
    Sites,
    lacks,
    made_of,
    need,
    no_site,
    read_safetensors,
)
from glossator.readouts.from_others import (
    circuit_tracer,
    dictionary_learning,
    gemma_scope,
    gemma_scope_2,
    layer_files,
)
from glossator.readouts.from_saelens import saelens, sparsify


def load_dictionary(path: str | Path, *, site: str | None = None) -> Dictionary:
    """The dictionary in a folder or file, in any known layout.

    site: the site that it is read from, in place of one that the files name in no way that is understood; a layer of a
    set of transcoders. Raises `UserError` when there is none, a key is missing, a setting is not known, or the files
    name another site.
    """
    path = Path(path)
    if not path.exists():
        raise UserError("no dictionary here", value=str(path), allowed="a folder or file of a dictionary")
    read = _reader(path)
    try:
        found = read(path, site)
    except (TypeError, KeyError, AttributeError, ValueError, RuntimeError) as error:  # values of another kind
        what = "the description of a dictionary cannot be used"
        raise UserError(what, value=str(path), fix=f"{type(error).__name__}: {error}".splitlines()[0]) from error
    if site is not None and found.reads_at != site:
        raise UserError(
            "the dictionary was made for another site",
            value=found.reads_at,
            allowed=site,
            fix="Leave out @SITE, or correct the dictionary's config",
        )
    return found


def _reader(path: Path) -> Callable[[Path, str | None], Dictionary]:
    """Whose files these are."""
    folder = path.parent if path.is_file() else path
    names = {path.name} if path.is_file() else {p.name for p in path.iterdir()}
    if MANIFEST in names or (path.suffix == ".safetensors" and (folder / MANIFEST).exists()):
        return _own
    if "cfg.json" in names or (path.is_file() and path.name in ("sae_weights.safetensors", "sae.safetensors")):
        there = {p.name for p in folder.iterdir()}
        if "sae_weights.safetensors" in there:
            return saelens
        if "sae.safetensors" in there:
            return sparsify
        raise UserError(
            "the dictionary's weights are missing",
            value=str(folder),
            allowed="sae_weights.safetensors (SAELens) or sae.safetensors (sparsify) beside cfg.json",
        )
    if "params.npz" in names or path.suffix == ".npz":
        return gemma_scope
    if "params.safetensors" in names:
        return gemma_scope_2
    if "ae.pt" in names or path.suffix in (".pt", ".pth"):
        return dictionary_learning
    if layer_files(path) or (path.is_file() and path.stem.startswith("layer_")):
        return circuit_tracer
    if path.suffix == ".safetensors" or any(name.endswith(".safetensors") for name in names):
        return _bare
    raise UserError(
        "no dictionary here",
        value=str(path),
        allowed="files of SAELens, sparsify, Gemma Scope, dictionary_learning or circuit-tracer, or safetensors",
    )


def _own(path: Path, site: str | None) -> Dictionary:
    """What `Dictionary.save` wrote, or safetensors with a mapping by hand."""
    folder = path if path.is_dir() else path.parent
    stored = read_json(folder / MANIFEST, "the dictionary's description", "Correct it, or make it again")
    if stored.get("format", FORMAT) != FORMAT:
        raise UserError("the dictionary has another format", value=stored["format"], allowed=FORMAT)
    known = {"format", "name", "reads_at", "writes_at", "activation", "k", "normalization", "model", "subject", "sites"}
    known |= {"weights", "tensors", "sha256", "made", "notes"}
    if unknown := sorted(set(stored) - known):
        raise UserError(f"unknown key in {MANIFEST}", value=unknown[0], allowed=", ".join(sorted(known)))
    file = folder / str(stored.get("weights", WEIGHTS))
    if isinstance(saved := stored.get("sha256"), str) and file.is_file() and sha256_of(file) != saved:
        raise UserError(
            "the dictionary's weights are not those that were saved with its description", value=str(file),
            fix=f"Make it again; where it was changed on purpose, take sha256 out of {MANIFEST}",
        )  # fmt: skip
    tensors, mapping = read_safetensors(file), stored.get("tensors", {name: name for name in TENSORS[:4]})
    if not isinstance(mapping, dict) or (bad := sorted(set(mapping) - set(TENSORS))):
        raise UserError("bad tensors of a dictionary", value=bad[0] if isinstance(mapping, dict) else mapping,
                        allowed=", ".join(TENSORS))  # fmt: skip
    given = {}
    for name, key in mapping.items():
        key, turned = (str(key).removesuffix(".T"), str(key).endswith(".T"))
        tensor = need(tensors, key, file)
        given[name] = tensor.T if turned else tensor
    reads_at = stored.get("reads_at") or site
    if several := stored.get("sites"):
        if site not in several:
            raise UserError(
                "this dictionary is of several sites",
                value=site or str(folder),
                allowed=", ".join(several),
                fix=f"Name one: PATH@{several[len(several) // 2]}",
            )
    elif reads_at is None:
        raise no_site(str(folder), None)
    assert reads_at is not None
    settings = {name: stored[name] for name in ("activation", "k", "normalization") if stored.get(name) is not None}
    return made_of(
        given,
        Sites(reads_at, stored.get("writes_at") or reads_at, tuple(stored.get("notes", ()))),
        name=stored.get("name"),
        model=stored.get("model", ""),
        subject=stored.get("subject", ""),
        made=stored.get("made", {}),
        where=file,
        **settings,
    )


_BARE = {
    "encoder": ("W_enc", "w_enc", "encoder.weight", "encoder"),
    "encoder_bias": ("b_enc", "encoder.bias", "encoder_bias"),
    "decoder": ("W_dec", "w_dec", "decoder.weight", "decoder"),
    "decoder_bias": ("b_dec", "decoder.bias", "decoder_bias", "bias"),
    "threshold": ("threshold",),
    "skip": ("W_skip",),
}


def _bare(path: Path, site: str | None) -> Dictionary:
    """Safetensors that say nothing but the common names: ReLU, or JumpReLU where there is a threshold."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        raise UserError("several safetensors files", value=str(path), allowed="one", fix="Give one of the files")
    (file,) = files
    tensors = read_safetensors(file)
    given = {name: next((tensors[key] for key in keys if key in tensors), None) for name, keys in _BARE.items()}
    if lacking := [name for name in ("encoder", "encoder_bias", "decoder", "decoder_bias") if given[name] is None]:
        raise lacks(lacking[0], tensors, file)
    found = {name: tensor for name, tensor in given.items() if tensor is not None}
    n, written = len(found["encoder_bias"]), len(found["decoder_bias"])
    for name in ("encoder", "decoder"):
        shape = tuple(found[name].shape)
        if len(shape) != 2 or n not in shape or shape[0] == shape[1]:
            raise UserError(f"which side of the {name} counts latents is not known", value=shape, fix=WRITE_MAPPING)
        if shape[0] != n:
            found[name] = found[name].T
    if site is None:
        raise no_site(str(file), None)
    jump = "threshold" in found
    note = f"{file.name} says no more than its tensors: {'JumpReLU' if jump else 'ReLU'}, nothing subtracted, " + (
        f"read and written at {site}, {n} latents of width {written}"
    )
    return made_of(found, Sites(site, site, (note,)), activation="jumprelu" if jump else "relu", where=file)
