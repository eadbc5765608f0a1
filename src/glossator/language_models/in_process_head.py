"""The last layer of a causal model, run separately: hidden states first, logits only where and of what is needed.

A vocabulary of 50,000 makes the last matrix a fifth of a small model's work and its output the largest tensor of all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from glossator.errors import UserError
from glossator.subjects.hooks import StopForward, stopping


class Head:
    """The output layer of a `transformers` causal model; size: of the tokenizer's vocabulary.

    Models pad their vocabulary to a round number: what lies behind `size` is no token and gets no logit. Raises
    `UserError` for a model without an output layer, and for one that does more to its logits than is known here
    (checked once, by comparing with the model's own logits).
    """

    def __init__(self, model: nn.Module, size: int | None = None):
        module = model.get_output_embeddings()
        if not isinstance(module, nn.Linear):
            raise UserError(
                "this model does not generate tokens",
                value=type(model).__name__,
                allowed="a causal language model with a linear output layer",
            )
        self.model, self.module = model, module
        config = model.config.get_text_config()
        caps = (getattr(config, name, None) for name in ("final_logit_softcapping", "logits_soft_cap"))
        self._softcap = next((cap for cap in caps if cap), None)
        self._factor = 1.0
        self.size = module.out_features
        self._check()
        self.size = min(size or self.size, self.size)

    def _check(self) -> None:
        ids = torch.zeros((1, 2), dtype=torch.long, device=self.model.get_input_embeddings().weight.device)
        with torch.inference_mode():
            own = self.model(input_ids=ids, use_cache=False).logits.float()
            here = self.logits(self.states(input_ids=ids, use_cache=False)).to(own.device)
            if self._softcap is None:
                both = torch.isfinite(own) & torch.isfinite(here)
                self._factor = float((own * here)[both].sum() / (here * here)[both].sum().clamp(min=1e-30))
                self._factor = 1.0 if abs(self._factor - 1) < 1e-3 or not both.any() else self._factor
                here = here * self._factor
        scale = float(torch.nan_to_num(own, posinf=0.0, neginf=0.0).abs().max().clamp(min=1.0))
        if not torch.allclose(own, here, rtol=1e-3, atol=1e-3 * scale, equal_nan=True):
            raise UserError(
                "the logits of this model cannot be computed separately",
                value=type(self.model).__name__,
                fix="Serve it and name the server with http://host:port/v1#MODEL",
            )

    def states(self, **inputs: Any) -> torch.Tensor:
        """The input of the output layer in a pass over `inputs`: (rows, tokens, d); the layer itself is not run.

        A cache among the inputs is filled.
        """
        found: list[torch.Tensor] = []

        def see(_: nn.Module, args: tuple[Any, ...]) -> None:
            found.append(args[0])
            raise StopForward

        handle = self.module.register_forward_pre_hook(see)
        try:
            with stopping():
                self.model(**inputs)
        finally:
            handle.remove()
        return found[0]

    def logits(self, states: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Float32 logits (..., V) of states (..., d), or (..., k) of these k token ids alone."""
        weight, bias = self.module.weight, self.module.bias
        chosen = slice(self.size) if tokens is None else tokens.to(weight.device)
        weight, bias = weight[chosen], None if bias is None else bias[chosen]
        values = nn.functional.linear(states.to(weight.device), weight, bias).float()
        if self._factor != 1.0:
            values = values * self._factor
        return values if self._softcap is None else torch.tanh(values / self._softcap) * self._softcap
