"""WordNet's glosses and examples, joined to short glossary articles: one a hypernym, its kinds below it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

PARTS = {"noun": "n.", "verb": "v.", "adj": "adj.", "adv": "adv."}


def _synsets(path: Path) -> dict[str, tuple[list[str], list[str], str, list[str]]]:
    """offset -> (words, offsets of hyponyms or of similar synsets, definition, examples)."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        count = int(fields[3], 16)
        words = [re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in fields[4 : 4 + 2 * count : 2]]
        pointers = fields[5 + 2 * count :]
        below = [pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] in ("~", "&")]
        examples = re.findall(r'"([^"]+)"', gloss)
        definition = re.sub(r"[;:]?\s*(\"[^\"]*\"(\s*-+\s*[A-Z][\w. ]+)?|\s-\s*[A-Z].*)", "", gloss).strip(" ;:")
        found[fields[0]] = (words, below, definition, examples)
    return found


def _entry(form: int, part: str, words: list[str], definition: str, examples: list[str]) -> str:
    names = ", ".join(words[:4])
    quote = "; ".join(f"“{example.strip()}”" for example in examples[:2])
    if form == 0:
        return f"{names} ({part}) {definition}." + (f" Example: {quote}." if quote else "")
    if form == 1:
        return (
            f"- {words[0]}: {definition}"
            + (f" (also {', '.join(words[1:4])})" if words[1:] else "")
            + (f", as in {quote}" if quote else "")
        )
    if form == 2:
        said = f" People say {quote}." if quote else ""
        return (
            f"{words[0][0].upper()}{words[0][1:]}"
            + (f", or {words[1]}," if words[1:] else "")
            + f" means {definition}.{said}"
        )
    return f"{names.upper() if len(names) < 24 else names}\n{definition[:1].upper()}{definition[1:]}." + (
        f" {quote}" if quote else ""
    )


def documents(folder: Path, rng: random.Random) -> Iterator[list[str]]:
    """Blocks of one article after another, in random order; every synset is used at most once."""
    articles = []
    for part, short in PARTS.items():
        synsets = _synsets(folder / f"data.{part}")
        roots = [offset for offset in synsets if len(synsets[offset][1]) >= 4]
        rng.shuffle(roots)
        used: set[str] = set()
        for root in roots:
            kinds = [o for o in synsets[root][1] if o not in used and o in synsets]
            rng.shuffle(kinds)
            if len(kinds) < 4:
                continue
            words, _, definition, examples = synsets[root]
            form = rng.randrange(4)
            used.update(kinds[:14])
            head = f"{words[0][0].upper()}{words[0][1:]}: {definition}." + (f" “{examples[0]}”" if examples else "")
            articles.append([head, *(_entry(form, short, synsets[o][0], *synsets[o][2:]) for o in kinds[:14])])
    rng.shuffle(articles)
    yield from articles
