"""What the n-gram stage of SASC costs beside one plain pass of the embedder over the same strings.

Stage: n-grams from documents, vectors, the units' answers, their order, mean and deviation. Plain: the strings, already
there, given to the embedder in one call, which sorts them by length and batches them, and nothing else. Another plain
pass, written with `transformers` alone as its users write it, says how fast that floor is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

DEFAULTS: dict[str, Any] = {
    "embedder": "minilm",
    "words": 8_000,
    "n": 3,
    "modules": 50,
    "runs": 3,
    "seed": 0,
    "batch": 64,
}
QUICK = {"words": 400, "runs": 1}


def ngram_ratios(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Measure `ngram_ratio_1` and `ngram_ratio_50`: the stage's seconds for 1 and 50 modules, over the plain pass's.

    options: `quick` for a smoke test whose numbers mean little, and any name of `DEFAULTS` (`words` of the embedded
    corpus, `batch` strings of the pass by `transformers`). Ratios are medians of paired runs, taken in turns. Also
    returned: seconds on the clock and on the processor (steadier where other programs run), tokens with padding of
    each pass, the extraction alone, and n-grams in their running text.
    """
    import torch

    options = dict(options or {})
    quick = options.pop("quick", False)
    given = {name: value for name, value in options.items() if value is not None and name in DEFAULTS}
    chosen = DEFAULTS | (QUICK if quick else {}) | given

    from glossator.corpora.ngrams.extract import NgramSpec, extract_ngrams
    from glossator.explainers.naming.task import Responses
    from glossator.recording.responses_in_text import responses_in_text
    from glossator.recording.texts import responses
    from glossator.subjects.text_readouts import EmbedderSubject, Nearness

    embedder = _embedder(chosen)
    documents = documents_of(chosen["words"], chosen["seed"])
    spec = NgramSpec(n=chosen["n"])
    ngrams = extract_ngrams(documents, spec)
    texts = list(ngrams.texts)
    points = embedder.embed(texts[: chosen["modules"]])
    by_hand = PlainTransformers(chosen["embedder"], chosen["batch"])

    def stage(number: int) -> None:
        near = EmbedderSubject(embedder, Nearness(points[:number]))
        values = responses(near, "output", range(number), extract_ngrams(documents, spec).texts)
        for column in values.T:
            Responses.of(column)
            np.argsort(-column, kind="stable")

    work: dict[str, Callable[[], Any]] = {
        "plain": lambda: embedder.embed(texts),
        "stage_1": lambda: stage(1),
        "stage_50": lambda: stage(len(points)),
        "transformers": lambda: by_hand.embed(texts),
        "extract": lambda: extract_ngrams(documents, spec),
        "in_text": lambda: responses_in_text(EmbedderSubject(embedder, Nearness(points)), documents, ngrams),
    }
    far = float(np.abs(embedder.embed(texts[:200]) - by_hand.embed(texts[:200])).max())
    seconds: dict[str, list[float]] = {name: [] for name in work}
    processor: dict[str, list[float]] = {name: [] for name in work}
    padded: dict[str, int] = {}
    for number in range(chosen["runs"]):
        names = list(work)
        for name in names if number % 2 == 0 else reversed(names):
            embedder.padded_tokens = by_hand.padded_tokens = 0
            started = time.perf_counter(), time.process_time()
            work[name]()
            seconds[name].append(time.perf_counter() - started[0])
            processor[name].append(time.process_time() - started[1])
            padded[name] = embedder.padded_tokens + by_hand.padded_tokens
    return {
        "ngram_ratio_1": _ratio(seconds["stage_1"], seconds["plain"]),
        "ngram_ratio_50": _ratio(seconds["stage_50"], seconds["plain"]),
        "ngrams": {
            "words": ngrams.corpus_words,
            "strings": len(texts),
            "modules": len(points),
            "seconds": seconds,
            "processor_seconds": processor,
            "processor_ratio_1": _ratio(processor["stage_1"], processor["plain"]),
            "processor_ratio_50": _ratio(processor["stage_50"], processor["plain"]),
            "padded_tokens": {name: count for name, count in padded.items() if count},
            "ratio_to_transformers_1": _ratio(seconds["stage_1"], seconds["transformers"]),
            "in_text_ratio_50": _ratio(seconds["in_text"], seconds["plain"]),
            "largest_difference_to_transformers": far,
            "threads": torch.get_num_threads(),
            "options": chosen | {"quick": quick},
        },
    }


def _embedder(options: dict[str, Any]) -> Any:
    from glossator.subjects.embedders import load_embedder

    return load_embedder(options["embedder"])


def documents_of(words: int, seed: int) -> list[str]:
    """Documents of the embedded corpus in a seeded order, about so many words of them."""
    from glossator.corpora import open_corpus

    texts = [document.text for document in open_corpus("embedded").documents()]
    found, count = [], 0
    for row in np.random.default_rng(seed).permutation(len(texts)):
        if count >= words:
            break
        found.append(texts[row])
        count += len(texts[row].split())
    return found


class PlainTransformers:
    """The usual loop: sort by length, `tokenizer(...)` with padding, `model(...)`, masked mean, length 1."""

    def __init__(self, name: str, batch: int):
        from transformers import AutoModel, AutoTokenizer

        from glossator.subjects.checkpoints import quiet_transformers
        from glossator.subjects.loading import resolve_folder

        folder = resolve_folder(name)
        with quiet_transformers():
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._model = AutoModel.from_pretrained(folder).eval().requires_grad_(False)
        self._batch, self.padded_tokens = batch, 0

    def embed(self, texts: list[str]) -> np.ndarray:
        import torch

        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = np.zeros((len(texts), self._model.config.hidden_size), np.float32)
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            inputs = self._tokenizer(
                [texts[row] for row in rows], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            self.padded_tokens += inputs["input_ids"].numel()
            with torch.inference_mode():
                states = self._model(**inputs).last_hidden_state
                weight = inputs["attention_mask"].unsqueeze(2).float()
                mean = (states * weight).sum(1) / weight.sum(1)
                found[rows] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return found


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
