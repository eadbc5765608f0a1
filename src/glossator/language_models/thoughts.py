"""Removing a model's reasoning before its answer, and turn markers around it.

Servers differ: some remove the reasoning, some leave it, some leave only the closing tag, because the opening one was
in the prompt.
"""

from __future__ import annotations

import re

_NAMES = (
    r"think|(?:ant)?thinking|thoughts?|reasoning|reflection|scratchpad|analysis|internal|inner_monologue|seed:think"
)
_OPEN = re.compile(
    rf"\s*(?:<(?P<tag>{_NAMES})(?:\s[^<>]*)?>|\[(?P<square>THINK|THINKING|REASONING)\]|◁(?P<kimi>think)▷"
    r"|<\|(?P<bar>begin_of_thought|START_THINKING|inner_prefix)\|>|(?P<gemma><\|channel>thought))",
    re.IGNORECASE,
)
_CLOSED_BY = {"begin_of_thought": "end_of_thought", "start_thinking": "END_THINKING", "inner_prefix": "inner_suffix"}
_ORPHAN = re.compile(
    r"(?<![`'\"“‘«/])(?:</(?:think|(?:ant)?thinking|thoughts?|reasoning|seed:think)>|\[/(?:THINK|THINKING|REASONING)\]|◁/think▷"
    r"|<\|(?:end_of_thought|END_THINKING|inner_suffix)\|>|<channel\|>)(?![`'\"”’»])",
    re.IGNORECASE,
)
"""The end of thoughts whose beginning stood in the prompt; between quotation marks or backticks it is text."""
_ANYWHERE = re.compile(rf"<(?:{_NAMES})>|\[(?:THINK|THINKING|REASONING)\]|◁think▷", re.IGNORECASE)
_ON_LINES = re.compile(
    rf"^<(?P<tag>{_NAMES})(?:\s[^<>]*)?>.*?</(?P=tag)>[ \t]*\n*", re.IGNORECASE | re.DOTALL | re.MULTILINE
)
"""Thoughts that are not the first thing said."""
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+).{0,80}?<\|message\|>", re.DOTALL)
_BARE_CHANNELS = re.compile(r"\s*analysis(?=[A-Z\W]).*?assistant\s*final(?=\S)", re.DOTALL)
_GRANITE = re.compile(
    r"\s*here(?: is|['’]s) my thought process\s*:.*?here(?: is|['’]s) my response\s*:\s*", re.I | re.S
)
_TURN_ENDS = re.compile(
    r"""(?:(?<=[^\s"'`“‘«(,:])|(?<=\n))(?:<\|(?:im_end|eot_id|end|return|call|endoftext|end_of_text|end_of_turn|eom_id"""
    r"|END_RESPONSE|END_OF_TURN_TOKEN|end_of_solution)\|>|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>)"
    r"(?=\s*(?:$|\n|<)).*",
    re.DOTALL,
)
"""The end of a turn, where it is attached to the last word; apart from it, it is a token that is spoken of."""
_TURN_START = re.compile(
    r"\s*(?:<\|(?:im_start|start|start_header_id|START_RESPONSE|begin_of_solution|assistant|CHATBOT_TOKEN)\|>"
    r"|<start_of_turn>)\s*(?:assistant|model)?(?:<\|end_header_id\|>)?\s*",
)


def without_thoughts(text: str) -> str:
    """The answer alone; nothing where the thoughts have no end. Doing it twice changes nothing."""
    text = _last_channel(text)
    text = _GRANITE.sub("", text, count=1)
    while found := _OPEN.match(text):
        end = _end_of(text, found)
        if end is None:
            return ""
        text = text[end:].lstrip()
    text = _ON_LINES.sub("", text)
    orphans = [found for found in _ORPHAN.finditer(text) if not _is_spoken_of(text, found)]
    if orphans:
        text = text[orphans[-1].end() :].lstrip()
    if found := _TURN_START.match(text):
        text = text[found.end() :]
    return _TURN_ENDS.sub("", text) if ">" in text else text


def _is_spoken_of(text: str, closing: re.Match[str]) -> bool:
    """Whether a closing tag is a word of the answer: one like it was opened before, or a line ends with it."""
    before, after = text[: closing.start()], text[closing.end() :]
    return _ANYWHERE.search(before) is not None or (before.endswith(" ") and not after.strip(" ."))


def _end_of(text: str, opened: re.Match[str]) -> int | None:
    """Where the thoughts that begin here end; thoughts may hold thoughts of the same tag."""
    kind, name = next((kind, name) for kind, name in opened.groupdict().items() if name)
    if kind == "bar":
        close = re.escape(f"<|{_CLOSED_BY[name.lower()]}|>")
    else:
        close = {
            "tag": re.escape(f"</{name}>"),
            "square": re.escape(f"[/{name}]"),
            "kimi": "◁/think▷",
            "gemma": re.escape("<channel|>"),
        }[kind]
    ends = [found.end() for found in re.finditer(close, text, re.IGNORECASE)]
    return (ends[-1] if kind != "tag" or name.lower() == "think" else ends[0]) if ends else None


def _last_channel(text: str) -> str:
    """What stands in the final channel, of models that write in channels; nothing if there is none yet."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        last = next((c for c in reversed(channels) if c[1].lower() == "final"), None)
        return "" if last is None else text[last.end() :]
    return _BARE_CHANNELS.sub("", text, count=1)
