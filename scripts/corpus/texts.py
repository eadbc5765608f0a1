"""From pages and paragraphs to documents: HTML to text, cutting at paragraph borders, and the filters."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

TARGET, SHORTEST, LONGEST = 1600, 240, 3200  # characters of one document
SHINGLE, SEEN_SHARE = 12, 0.3


class _Page(HTMLParser):
    """Collects the text blocks of a page; headings, list items and code keep their form."""

    BLOCKS = frozenset(
        ("p", "li", "dt", "dd", "pre", "div", "tr", "table", "blockquote", "section", *(f"h{i}" for i in range(1, 7)))
    )
    HIDDEN = frozenset(("script", "style", "nav", "head", "footer", "button", "svg"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.hidden = self.pre = 0
        self.blocks: list[str] = []
        self.current: list[str] = []

    def flush(self) -> None:
        text = "".join(self.current)
        text = text.strip("\n").rstrip() if self.pre else re.sub(r"\s+", " ", text).strip()
        text = text.replace("¶", "").rstrip()
        if text.startswith("- ") and self.blocks and self.blocks[-1].startswith("- "):
            self.blocks[-1] += "\n" + text
        elif text.strip("-•| \n"):
            self.blocks.append(text)
        self.current = []

    def handle_starttag(self, tag, attributes):
        if tag in self.HIDDEN:
            self.hidden += 1
        elif tag == "br":
            self.current.append("\n" if self.pre else " ")
        elif tag in ("td", "th") and "".join(self.current).strip():
            self.current.append(" | ")
        elif tag in self.BLOCKS:
            self.flush()
            if tag == "li":
                self.current.append("- ")
            self.pre += tag == "pre"

    def handle_endtag(self, tag):
        if tag in self.HIDDEN:
            self.hidden = max(0, self.hidden - 1)
        elif tag in self.BLOCKS:
            self.flush()
            self.pre = max(0, self.pre - (tag == "pre"))

    def handle_data(self, data):
        if not self.hidden:
            self.current.append(data)


def html_blocks(page: str, start: str = "<body", end: str = "</body>") -> list[str]:
    """Text blocks of a page in order, between the first `start` and the next `end`; none when `start` is missing."""
    _, found, body = page.partition(start)
    if not found:
        return []
    parser = _Page()
    parser.feed(start + body.partition(end)[0])
    parser.flush()
    return parser.blocks


def cut(blocks: Iterable[str], target: int = TARGET, joint: str = "\n\n") -> Iterator[str]:
    """Join blocks to documents of about `target` characters; a block that is longer is cut at its line ends."""
    held: list[str] = []
    size = 0
    for block in blocks:
        for piece in [block] if len(block) <= LONGEST else _pieces(block):
            held.append(piece)
            size += len(piece)
            if size >= target:
                yield joint.join(held)
                held, size = [], 0
    if size >= SHORTEST:
        yield joint.join(held)


def _pieces(block: str) -> Iterator[str]:
    lines, size = [], 0
    for line in re.split(r"(?<=\n)|(?<=[.!?。]) ", block):
        lines.append(line)
        size += len(line)
        if size >= TARGET:
            yield " ".join(lines) if "\n" not in block else "".join(lines)
            lines, size = [], 0
    if lines:
        yield " ".join(lines) if "\n" not in block else "".join(lines)


def is_degenerate(text: str) -> bool:
    """Whether a text repeats itself: it compresses too well, one line returns, or few of its word triples differ."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = text.split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    data = text.encode()
    return (
        len(zlib.compress(data, 9)) / len(data) < 0.27
        or (len(lines) >= 6 and len(set(lines)) / len(lines) < 0.6)
        or (len(triples) >= 30 and len(set(triples)) / len(triples) < 0.7)
        or bool(re.search(r"(\S)\1{30}", text))
    )


def without_torn_end(text: str) -> str:
    """The text up to its last finished sentence, or its last finished line where sentences do not end so."""
    text = text.rstrip()
    ends = [match.end() for match in re.finditer(r"[.!?。！？…][\"”’')\]*]*(?=\s|$)|\n", text)]
    return text[: ends[-1]].rstrip() if ends else ""


class Seen:
    """Remembers runs of words, to leave out documents of which much has been said before."""

    def __init__(self) -> None:
        self.runs: set[bytes] = set()

    def is_new(self, text: str) -> bool:
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        runs = [
            hashlib.blake2b(" ".join(words[i : i + SHINGLE]).encode(), digest_size=8).digest()
            for i in range(max(1, len(words) - SHINGLE + 1))
        ]
        known = sum(run in self.runs for run in runs)
        if known > SEEN_SHARE * len(runs):
            return False
        self.runs.update(runs)
        return True
