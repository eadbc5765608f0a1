"""From a language model's answers to explanations: cleaned, merged, counted.

Cleaning strips what surrounds an explanation and never changes its words. What cannot be an explanation is counted with
a reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from glossator.explainers import Abstained, Explained
from glossator.explainers.cleaning import LABEL, WEAK_LABEL, body_of, phrase_of
from glossator.explainers.refusals import is_refusal
from glossator.explanations import MOST_WORDS, Explanation, Headline, Provenance
from glossator.language_models import NOTHING_USED, Answer, Usage
from glossator.units import Unit

REFUSAL = "a refusal"
HEADLINE = "Headline:"
"""How the line of an answer begins that holds its headline."""
ASK_HEADLINE = f"On a second line, after “{HEADLINE}”, say the same as a headline of two to six plain words."
"""Asks for it, in every prompt for an explanation."""

_LIST_MARK = re.compile(r"(?:\d+[.)]|\(\d+\)|[-*•>]|#{2,6})\s+")
_EMPHASIS = re.compile(r"\*(?!\*)([^*]+)\*|__([^_]+\s[^_]+)__|_([^_]+\s[^_]+)_")
_LEAD = re.compile(
    r"(?:in one phrase,?\s+|based on [^,]{1,60},\s+)?(?:(?:the|this)\s+unit|unit\s+\d+)"
    r"\s+(?:is|seems(?:\s+to\s+be)?|appears\s+to\s+be)\s+active\s+(?:at|on|when|for)\b[\s:.]*",
    re.IGNORECASE,
)
_HEADLINE = re.compile(r"^[*_#>\s-]*headline[*_\s]*[:：][*_\s]*(.*)$", re.IGNORECASE | re.MULTILINE)
_SENTENCES = re.compile(r".*[.!?](?=\s)")
_QUOTES = {
    '"': '"', "“": "”", "”": "”", "„": "“”", "'": "'", "‘": "’", "’": "’", "‚": "‘’",
    "«": "»", "»": "«", "‹": "›", "›": "‹",
    "「": "」", "『": "』", "《": "》", "`": "`",
}  # fmt: skip
"""Opening marks, and the marks that close them."""
_ELEMENT = re.compile(r"<(p|b|i|u|em|strong|div|span|code|q|h[1-6])>([^<>]*)</\1>", re.IGNORECASE)
_ABBREVIATIONS = ("etc.", "e.g.", "i.e.", "vs.", "al.", "Inc.", "Ltd.", "Mr.", "Mrs.", "Ms.", "Dr.", "St.", "Jr.")


@dataclass(frozen=True)
class Found:
    """One explanation out of several samples.

    votes: how many samples said it; usage: what they cost; copied: it is the answer of a worked example, word for word,
    which weak models give to anything; headline: the first that one of these samples gave, None where none did.
    """

    text: str
    votes: int
    usage: Usage
    copied: bool = False
    headline: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of sampling one unit: explanations, most votes first, and failures by reason."""

    found: tuple[Found, ...] = ()
    asked: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    usage: Usage = NOTHING_USED

    @property
    def why_nothing(self) -> str:
        reasons = "; ".join(f"{reason} ({count})" for reason, count in self.failed.items())
        return f"none of {self.asked} answers can be used: {reasons}"

    @property
    def record(self) -> dict[str, object]:
        """The counts stored with each explanation."""
        return {"asked": self.asked, "failed": dict(self.failed)}


def outcome_of(answers: Sequence[Answer], examples: Sequence[str] = ()) -> Outcome:
    """Clean the answers and merge those that say the same; examples: the answers of the prompt's worked examples.

    What failed samples cost is counted with the first explanation, so that the explanations' costs add to the whole.
    """
    texts: dict[str, str] = {}
    votes: Counter[str] = Counter()
    usages: dict[str, Usage] = {}
    headlines: dict[str, str] = {}
    failed: Counter[str] = Counter()
    lost = NOTHING_USED
    for answer in answers:
        text, reason = clean(answer)
        if reason is not None:
            failed[reason] += 1
            lost += answer.usage
            continue
        key = _same(text)
        texts.setdefault(key, text)
        votes[key] += 1
        usages[key] = usages.get(key, NOTHING_USED) + answer.usage
        if (headline := headline_of(answer, text)) is not None:
            headlines.setdefault(key, headline)
    known = {_same(remove_final_period(example)) for example in examples}
    found = [
        Found(texts[key], count, usages[key], key in known, headlines.get(key)) for key, count in votes.most_common()
    ]
    if found:
        found[0] = replace(found[0], usage=found[0].usage + lost)
    whole = sum((answer.usage for answer in answers), NOTHING_USED)
    return Outcome(tuple(found), len(answers), dict(failed), whole)


def explanations_of(unit: Unit, outcome: Outcome, base: Provenance, n: int) -> Explained:
    """The unit's explanations, most votes first, or why there is none."""
    if not outcome.found:
        return Abstained(f"{base.method}: {outcome.why_nothing}", failed=True)
    kept, rest = outcome.found[:n], outcome.found[n:]
    found: list[Explanation] = []
    for rank, one in enumerate(kept):
        # what is not kept was paid for as well; it is counted with the first
        usage = sum((other.usage for other in rest), one.usage) if rank == 0 else one.usage
        settings = base.settings | {"votes": one.votes, "samples": outcome.record, "copied": one.copied}
        if one.headline is None:
            settings["no_headline"] = f"the answer has none of at most {MOST_WORDS} words"
        made_by = replace(base, settings=settings, cost=usage.as_dict())
        headline = None if one.headline is None else Headline(one.headline)
        found.append(Explanation(unit, one.text, made_by, rank=rank, headline=headline))
    return found


def clean(answer: Answer) -> tuple[str, str | None]:
    """(explanation, None), or ("", why the answer is none).

    Of an answer that was cut short, its first line counts, or as many whole sentences of it as there are.
    """
    if reason := answer.why_unusable(cut_off_counts=True):
        return "", reason
    return _phrase(answer, _without_headline(answer.text))


def headline_of(answer: Answer, text: str) -> str | None:
    """The headline of an answer whose explanation is `text`: what its own line says, or the explanation where that is
    as short; None where neither is, or it was cut off. Nothing is shortened."""
    if found := _HEADLINE.search(answer.text):
        rest = answer.text[found.end() :].strip()
        if rest or answer.finish != "length":
            headline, reason = _phrase(replace(answer, finish="stop"), found[1])
            if reason is None and is_headline(headline):
                return headline
    return text if is_headline(text) else None


def is_headline(text: str) -> bool:
    """Whether it is as short as a headline."""
    return 0 < len(text.split()) <= MOST_WORDS


def _without_headline(text: str) -> str:
    """An answer without the line of its headline, unless that is all of it."""
    if (found := _HEADLINE.search(text)) is None:
        return text
    before = text[: found.start()].rstrip()
    return before if before.strip() else found[1] + text[found.end() :]


def _phrase(answer: Answer, text: str) -> tuple[str, str | None]:
    line, is_last, reason = phrase_of(text)
    if reason is not None:
        return "", "the answer was cut off at max_tokens" if answer.finish == "length" else reason
    if is_refusal(line) or is_refusal(body_of(text).partition("\n")[0]):
        return "", REFUSAL
    if "\t" in line or "<start>" in line or "<end>" in line:
        return "", "the answer repeats the records"
    if is_last and answer.finish == "length":
        line = "".join(_SENTENCES.findall(line))
        if not line:
            return "", "the answer was cut off at max_tokens"
    phrase = _unwrapped(line)
    if not any(character.isalpha() for character in phrase):  # a bare number is a level, not a description
        return "", "no words in the answer"
    is_quoted = line[0] in _QUOTES  # then it was looked at as a whole
    return ("", REFUSAL) if not is_quoted and is_refusal(phrase) else (phrase, None)


def remove_final_period(text: str) -> str:
    """The text without surrounding space and closing full stop; one that belongs to an abbreviation stays."""
    text = text.strip()
    last = text.split()[-1] if text else ""
    is_short = last in _ABBREVIATIONS or "." in last[:-1]
    return text[:-1] if text.endswith(".") and not is_short else text


def _unwrapped(line: str) -> str:
    """Without list marks, labels, the repeated lead, emphasis, quotation marks around the whole, and a full stop."""
    before = None
    while before != line:
        before = line
        line = line.strip()
        for pattern in (_LIST_MARK, LABEL, WEAK_LABEL, _LEAD):
            if found := pattern.match(line):
                line = line[found.end() :]
        inner, closing, rest = line.removeprefix("**").partition("**")
        if line.startswith("**") and closing:
            line = inner + rest
        if found := _EMPHASIS.fullmatch(line):
            line = next(group for group in found.groups() if group)
        if found := _ELEMENT.fullmatch(line):
            line = found[2]
        line = _unquoted(line)
    return remove_final_period(line)


def _unquoted(line: str) -> str:
    """Without one pair of quotation marks, where they are around the whole and none of the kind is inside."""
    closing = "".join(_QUOTES.values())
    bare = line[:-1] if line.endswith(".") and len(line) > 2 and line[-2] in closing else line
    inner = bare[1:-1]
    around = len(bare) > 2 and bare[-1] in _QUOTES.get(bare[0], "")
    is_phrase = " " in inner or (not inner.isascii() and len(inner) > 4)  # Chinese has no spaces
    return inner if around and is_phrase and bare[-1] not in inner and bare[0] not in inner else line


def _same(text: str) -> str:
    """Equal for texts that differ in case, spacing and punctuation alone."""
    return " ".join(re.findall(r"\w+|[^\w\s.,;:]", text.casefold())) or text
