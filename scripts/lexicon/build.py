"""Build src/glossator/programs/lexicon.json.xz: word forms by WordNet supersense.

Usage: python scripts/lexicon/build.py DICT [OUTPUT]

DICT is WordNet's database folder with index.*, data.*, *.exc and cntlist.rev, for example usr/share/wordnet of
Debian's package `wordnet-base` (`apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb unpacked`).

A lemma counts for one supersense only, the one in which it was tagged most often in WordNet's sense-tagged texts (its
first listed sense where it was never tagged). Inflected forms are added by rule and from the exception lists; a form
with several readings (saw) goes with the reading tagged most often. The file is deterministic: same input, same bytes.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

LEXNAMES = tuple(
    name
    for block in (
        "adj: all pert",
        "adv: all",
        "noun: Tops act animal artifact attribute body cognition communication event feeling food group location",
        "noun: motive object person phenomenon plant possession process quantity relation shape state substance time",
        "verb: body change cognition communication competition consumption contact creation emotion motion perception",
        "verb: possession social stative weather",
        "adj: ppl",
    )
    for name in (f"{block.partition(': ')[0]}.{topic}" for topic in block.partition(": ")[2].split())
)
"""Lexicographer files by number, as in lexnames(5WN)."""
PARTS = {"noun": "1", "verb": "2", "adj": "3", "adv": "4"}
WORD = re.compile(r"[a-z]{2,13}")
CONSONANT = "bcdfghjklmnpqrstvwxyz"
OUTPUT = Path(__file__).parents[2] / "src/glossator/programs/lexicon.json.xz"

Reading = tuple[int, int, str]
"""(times tagged, minus the part of speech's rank, supersense): greater is more likely."""


def main() -> None:
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    source = Path(sys.argv[1])
    output = Path(sys.argv[2]) if len(sys.argv) == 3 else OUTPUT
    classes = build(source)
    data = {
        "source": "WordNet 3.0, Princeton University; dominant sense only; built by scripts/lexicon/build.py",
        "classes": {name: " ".join(sorted(forms)) for name, forms in sorted(classes.items())},
    }
    text = json.dumps(data, ensure_ascii=True, sort_keys=True).encode()
    output.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    print(f"{sum(map(len, classes.values()))} forms in {len(classes)} classes, {output.stat().st_size} bytes")


def build(source: Path) -> dict[str, set[str]]:
    """Word forms of every supersense."""
    tagged = tag_counts(source / "cntlist.rev")
    readings: dict[str, list[Reading]] = defaultdict(list)
    for rank, part in enumerate(PARTS):
        lexfiles = {line[:8]: int(line[9:11]) for line in lines(source / f"data.{part}")}
        exceptions: dict[str, list[str]] = defaultdict(list)
        for line in lines(source / f"{part}.exc"):
            form, *lemmas = line.split()
            for lemma in lemmas:
                exceptions[lemma].append(form)
        for line in lines(source / f"index.{part}"):
            fields = line.split()
            lemma, first = fields[0], fields[-int(fields[2])]
            if not WORD.fullmatch(lemma):
                continue
            counts = tagged[lemma, PARTS[part]]
            name, times = counts.most_common(1)[0] if counts else (LEXNAMES[lexfiles[first]], 0)
            for form in {lemma, *inflections(lemma, part, exceptions[lemma])}:
                if WORD.fullmatch(form):
                    readings[form].append((times, -rank, name))
    classes: dict[str, set[str]] = defaultdict(set)
    for form, found in readings.items():
        classes[max(found)[2]].add(form)
    return classes


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith(" ")]


def tag_counts(path: Path) -> dict[tuple[str, str], Counter[str]]:
    """(lemma, part of speech) -> times tagged by supersense; satellite adjectives (5) count as adjectives."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for line in lines(path):
        key, _, times = line.split()
        lemma, _, rest = key.partition("%")
        part, lexfile = rest.split(":")[:2]
        counts[lemma, "3" if part == "5" else part][LEXNAMES[int(lexfile)]] += int(times)
    return counts


def inflections(lemma: str, part: str, irregular: list[str]) -> set[str]:
    """Plurals, -s/-ed/-ing forms and degrees; rules are used beside exceptions only where those do not replace them."""
    forms = set(irregular)
    sibilant = lemma.endswith(("s", "x", "z", "ch", "sh"))
    to_y = lemma.endswith("y") and lemma[-2:-1] in CONSONANT
    with_s = lemma[:-1] + "ies" if to_y else lemma + ("es" if sibilant else "s")
    stem = lemma[:-1] if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) else lemma
    doubled = re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", lemma) is not None
    if doubled:
        stem = lemma + lemma[-1]
    past = lemma[:-1] + "i" if to_y else stem if not lemma.endswith("e") else lemma[:-1]
    if part == "noun":
        forms.add(with_s)
    elif part == "verb":
        forms |= {with_s, stem + "ing"}
        if not any(not form.endswith(("ing", "s")) for form in irregular):
            forms.add(past + "ed")
    elif part == "adj" and len(lemma) <= 6:
        forms |= {past + "er", past + "est"}
    return forms


if __name__ == "__main__":
    main()
