"""How a served model writes 10: some tokenizers have no token for it, and `1` would be read where 10 was meant."""

from __future__ import annotations

from glossator.language_models import COMPLETION, PROMPT_LOGPROBS, LanguageModel, Message, Request


def asked_how_ten_is_written(lm: LanguageModel) -> str:
    """`10` where the model has it as one token, else `X`; asked once, in a request that the cache keeps.

    Raises nothing: a model that does not say 10 when asked to is taken to have the token.
    """
    if {COMPLETION, PROMPT_LOGPROBS} <= lm.powers:
        (answer,) = lm.ask([Request(prompt="Levels:\t10\t10\n", max_tokens=0, prompt_logprobs=1)])
        texts = [token.text for token in answer.prompt_tokens]
    else:
        question = Message("user", "Reply with the number 10 in digits and nothing else.")
        (answer,) = lm.ask([Request(messages=(question,), max_tokens=4, logprobs=1)])
        texts = [token.text for token in answer.tokens]
    together = "".join(texts)
    return "X" if "10" in together and not any("10" in text for text in texts) else "10"
