"""Reading a neuron's weights in token space, without running any text.

Bills et al. 2023 list, for a neuron n of the feed-forward of layer L, the tokens with the largest input weight
E[t] * g_in . w_in[n] (embedding, gain of the norm before the feed-forward, the neuron's input weights) and the largest
output weight w_out[n] * g_final . U[t] (its output weights, gain of the final norm, unembedding). No mean is removed
and no bias added. A gated feed-forward has two input vectors that multiply; there the input side is the activation that
the feed-forward gives to the normed embedding itself.

Norms, projections and the unembedding are found by what they do in one short pass, not by their names, so that this
holds for any causal model of `transformers` whose feed-forward has an `mlp.L` site.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from glossator.errors import MissingPower, UserError
from glossator.subjects.base import Power
from glossator.subjects.hooks import capture
from glossator.subjects.sites import MLP_OUT, SiteInfo, projection_shape

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

_AT_ONCE = 4096  # tokens whose values are held in memory together
_PROBE = 1000.0  # large, so that the epsilon of a norm does not count


def input_strengths(subject: TransformerSubject, site: str, indices: Sequence[int]) -> np.ndarray:
    """How much these neurons are for each token of the vocabulary by their input weights, float32 (V, neurons)."""
    info = _mlp_site(subject, site)
    feed_forward, readers = _feed_forward(subject, info)
    norm = _norm_before(subject, readers[0])
    embedding = subject.model.get_input_embeddings().weight[: len(subject.tokenizer.vocabulary)]
    if len(readers) == 1 and _outputs(readers[0]) == info.width:
        weights = _by_output(readers[0])[list(indices)]
        return _numpy(embedding.float() @ (weights * gain_of(norm, weights.shape[1])).T)
    return _through(subject, feed_forward, info, indices, norm, embedding)


def output_strengths(subject: TransformerSubject, site: str, indices: Sequence[int]) -> np.ndarray:
    """How much these neurons raise each token's logit by their output weights, float32 (V, neurons)."""
    return logit_strengths(subject, written(subject, _mlp_site(subject, site).name, indices))


def written(subject: TransformerSubject, site: str, indices: Sequence[int]) -> np.ndarray:
    """What one unit of value of each of these units adds to the residual stream, float32 (units, d).

    For a site that a projection to the stream reads (`mlp.L`, `head.L`) its weights, times the factors that the model
    puts behind it; for numbers of the stream itself (`resid.L`, `attn.L`, `mlp-out.L`) the stream's own axes. Raises
    `MissingPower` where a norm or a gate stands between the units and the stream, so that what they add depends on the
    token.
    """
    if Power.WEIGHTS not in subject.powers:
        raise MissingPower("this subject has no weights to read", value=subject.name)
    info = subject.site(site)
    if bad := [i for i in indices if not 0 <= i < (info.width or 0)]:
        raise UserError("no such unit", value=f"{site}/{bad[0]}", allowed=f"0 to {(info.width or 0) - 1}")
    module = subject.model.get_submodule(info.module)
    shape = projection_shape(module)
    kind = info.name.partition(".")[0]
    if kind in ("mlp", "head", "attn", MLP_OUT) and info.scale is None:
        raise MissingPower(
            "what units of this site write into the residual stream depends on the token, through a norm or a gate",
            value=site,
            allowed="sites whose values are added to the residual stream",
        )
    if info.side == "input" and shape is not None and kind in ("mlp", "head"):
        weights = _by_output(module).T[list(indices)]
        return _numpy(weights * weights.new_tensor(1.0 if info.scale is None else info.scale))
    if info.side == "output" and info.width is not None and kind in ("resid", "attn", MLP_OUT):
        return np.eye(info.width, dtype=np.float32)[list(indices)]
    raise MissingPower(
        "it is unknown what units of this site write into the residual stream",
        value=site,
        allowed="mlp.L, head.L, attn.L, mlp-out.L, resid.L",
    )


def logit_strengths(subject: TransformerSubject, vectors: np.ndarray) -> np.ndarray:
    """How much each of these vectors (n, d) in the residual stream raises each token's logit, float32 (V, n).

    vector * g_final . U[t], past all layers in between (Geva et al. 2022, "Transformer feed-forward layers build
    predictions by promoting concepts in the vocabulary space").
    """
    head = subject.model.get_output_embeddings() if hasattr(subject.model, "get_output_embeddings") else None
    if head is None:
        raise MissingPower("this subject has no unembedding", value=subject.name, allowed="a causal language model")
    norm = _norm_before(subject, head)
    gained = torch.from_numpy(np.asarray(vectors, np.float32)).to(head.weight.device)
    gained = gained * gain_of(norm, gained.shape[1])
    return _numpy(head.weight[: len(subject.tokenizer.vocabulary)].float() @ gained.T)


def gain_of(norm: nn.Module, width: int) -> torch.Tensor:
    """The factor (width,) by which a norm multiplies what it has normed, however it stores it.

    A vector of +1 and -1 has mean 0 and mean square 1, so the norm only multiplies it and adds its bias, which the
    difference of both signs takes off.
    """
    parameter = next(norm.parameters())
    signs = torch.ones(width, device=parameter.device)
    signs[1::2] = -1
    if width % 2:
        signs[-1] = 0  # the mean is 0 again; the mean square is off by 1 / width
    probe = (_PROBE * signs).to(parameter.dtype)
    with torch.inference_mode():
        difference = norm(probe[None, None])[0, 0].float() - norm(-probe[None, None])[0, 0].float()
    return torch.where(signs != 0, difference / 2 * signs, difference.new_ones(()))


def _mlp_site(subject: TransformerSubject, site: str) -> SiteInfo:
    if Power.WEIGHTS not in subject.powers:
        raise MissingPower("this subject has no weights to read", value=subject.name)
    info = subject.site(site)
    if not (info.name.startswith("mlp.") and info.side == "input"):
        raise MissingPower(
            "token weights are available for neurons only", value=site, allowed="mlp.L of a transformers model"
        )
    return info


def _feed_forward(subject: TransformerSubject, info: SiteInfo) -> tuple[nn.Module, list[nn.Module]]:
    """The smallest module around the down projection that also holds the projections which it is fed by: one, two, or
    one for both."""
    model, path = subject.model, info.module
    down = projection_shape(model.get_submodule(path))
    assert down is not None and info.width is not None
    while path := path.rpartition(".")[0]:
        around = model.get_submodule(path)
        readers = [
            module
            for name, module in around.named_modules()
            if (shape := projection_shape(module))
            and not any("att" in part.lower() for part in name.split("."))
            and shape[0] == down[1]
            and shape[1] in (info.width, 2 * info.width)
        ]
        if readers:
            return around, readers
    raise MissingPower("no projection into this feed-forward was found", value=info.name)


def _outputs(module: nn.Module) -> int:
    shape = projection_shape(module)
    assert shape is not None
    return shape[1]


def _by_output(module: nn.Module) -> torch.Tensor:
    """The weights (outputs, inputs) float32 of a projection; GPT-2's `Conv1D` holds them the other way round."""
    weight = cast(torch.Tensor, module.weight).detach().float()
    return weight if hasattr(module, "in_features") else weight.T


def _norm_before(subject: TransformerSubject, reader: nn.Module) -> nn.Module:
    """The norm whose output is what `reader` reads, found by watching one pass over two tokens."""
    outputs: list[tuple[nn.Module, torch.Tensor]] = []  # held, so that no address is used twice
    read: list[torch.Tensor] = []

    def after(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            outputs.append((module, output))

    def before(_: nn.Module, args: tuple[Any, ...]) -> None:
        read.append(args[0])

    hooks = [reader.register_forward_pre_hook(before)]
    hooks += [m.register_forward_hook(after) for m in subject.model.modules() if _is_norm(m)]
    try:
        padding = getattr(subject.model.config, "pad_token_id", None)
        tokens = [i for i in range(3) if i != padding][:2]
        inputs = subject.model_inputs(np.array([tokens], np.int32), np.array([2], np.int32))
        with torch.inference_mode():
            subject.model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for module, output in outputs:
        if read and output.data_ptr() == read[0].data_ptr():
            return module
    raise MissingPower("no norm was found before this projection", value=type(reader).__name__)


def _is_norm(module: nn.Module) -> bool:
    """A module with one gain a dimension, at most a bias, and nothing inside."""
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not list(module.children()) and all(p.ndim == 1 for p in parameters)


def _through(
    subject: TransformerSubject,
    feed_forward: nn.Module,
    info: SiteInfo,
    indices: Sequence[int],
    norm: nn.Module,
    embedding: torch.Tensor,
) -> np.ndarray:
    """The site's values when the feed-forward is given each token's normed embedding and nothing else."""
    found: list[np.ndarray] = []
    with torch.inference_mode(), capture(subject.model, [info]) as values:
        for start in range(0, len(embedding), _AT_ONCE):
            try:
                feed_forward(norm(embedding[None, start : start + _AT_ONCE]))
            except TypeError as error:
                raise MissingPower("this feed-forward cannot be run alone", value=info.name) from error
            found.append(_numpy(values[info.name][0][:, list(indices)]))
    return np.concatenate(found)


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
