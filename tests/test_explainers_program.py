"""The program explainer finds what was planted, claims nothing of noise, and is the same every time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from glossator.engines import in_parallel
from glossator.explainers import explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.programs import bits, english, execute, parse_program
from inducer_cases import LEXICON, VOCABULARY, WORDS, back, evidence_of, is_in, windows_of

SEEN, FRESH = windows_of(1, 600), windows_of(2)
TOPIC, OTHER = WORDS[0:10], WORDS[200:210]


def _noise(windows, scale: float) -> np.ndarray:
    return scale * np.abs(np.random.default_rng(int(windows.documents[0])).normal(size=windows.tokens.shape))


def _remembered(windows, rule) -> np.ndarray:
    """1 where a rule on a window's token texts and a place holds."""
    texts = [[VOCABULARY.texts[token] for token in row] for row in windows.tokens]
    return np.array([[float(rule(row, i)) for i in range(len(row))] for row in texts])


def _last(row: list[str], *words: str) -> str | None:
    return next((word for word in reversed(row) if word in words), None)


def _sentence(row: list[str], i: int) -> list[str]:
    start = next((j + 1 for j in range(i - 1, -1, -1) if row[j] == "."), 0)
    return row[start:i]


FREQUENT = WORDS[:1]

PLANTED = {
    "token": lambda w: is_in(w, WORDS[43]) * 2.0,
    "several": lambda w: is_in(w, WORDS[43], WORDS[101]) * 1.0 + is_in(w, WORDS[50]) * 3.0,
    "meaning": lambda w: is_in(w, *TOPIC) * 1.5,
    "after": lambda w: back(is_in(w, ",")) * 1.0,
    "conjunction": lambda w: (is_in(w, *TOPIC) & back(is_in(w, ",", ".", " the", " The"))) * 1.0,
    "suffix": lambda w: is_in(w, *(word for word in WORDS if word.endswith("po"))) * 1.0,
    "position": lambda w: np.broadcast_to(np.arange(w.width) < 4, w.tokens.shape) * 1.0,
    "since-until": lambda w: _remembered(w, lambda row, i: _last(row[:i], WORDS[20], WORDS[44]) == WORDS[20]),
    "scope": lambda w: _remembered(w, lambda row, i: WORDS[21] in _sentence(row, i)),
    "counting": lambda w: _remembered(
        w, lambda row, i: row[i] in FREQUENT and sum(map(FREQUENT.count, _sentence(row, i))) == 1
    ),
    "place-in-sentence": lambda w: _remembered(w, lambda row, i: 3 <= len(_sentence(row, i)) < 6),
    "agreement": lambda w: _remembered(w, lambda row, i: i > 0 and row[i][:2] == row[i - 1][:2]),
    "share": lambda w: _remembered(w, lambda row, i: row[: i + 1].count(",") >= 0.125 * (i + 1)),
    "negated": lambda w: 1.0 - is_in(w, ".", *(word for word in WORDS if word.endswith("la"))),
}


@pytest.fixture(scope="module")
def explainer() -> ProgramExplainer:
    return ProgramExplainer(lexicon=LEXICON)


@pytest.mark.parametrize("name", PLANTED)
def test_finds_what_was_planted(name, explainer):
    rule = PLANTED[name]
    found = explain_one(explainer, evidence_of(rule(SEEN) + _noise(SEEN, 0.05), SEEN), n=1)
    assert found, "abstained"
    predicted = execute(found[0].program, FRESH, LEXICON)
    assert np.corrcoef(predicted.ravel(), rule(FRESH).astype(float).ravel())[0, 1] > 0.93, found[0].text


def _planted(positions: dict[tuple[str, ...], int], fires: tuple[str, ...]) -> tuple:
    """Windows with so many of each run of tokens, none of their rarer words elsewhere, and where `fires` ends."""
    tokens, rng = np.array(SEEN.tokens), np.random.default_rng(5)
    ids = {run: [VOCABULARY.ids[word] for word in run] for run in positions}
    for word in {i for run in ids.values() for i in run} - {VOCABULARY.ids[" the"]}:
        tokens[tokens == word] = VOCABULARY.ids[WORDS[62]]
    slots = iter(rng.permutation([(row, at) for row in range(len(tokens)) for at in range(1, SEEN.width - 8, 8)]))
    active = np.zeros(tokens.shape)
    for run, count in positions.items():
        for row, at in [next(slots) for _ in range(count)]:
            tokens[row, at : at + len(run)] = ids[run]
            active[row, at + len(run) - 1] = 2.0 * (run == fires)
    return dataclasses.replace(SEEN, tokens=tokens), active


@pytest.mark.parametrize("count", [8, 15, 30])
def test_an_exact_rare_unit_is_said_once(count, explainer):
    word = WORDS[61]
    windows, active = _planted({(word,): count}, (word,))
    found = explain_one(explainer, evidence_of(active, windows), n=1)
    assert [(e.text, str(e.program)) for e in found] == [(f"Fires on “{word.strip()}”.", f'0.0 + 2.0*token("{word}")')]


@pytest.mark.parametrize("decoys", [15, 40, 150])
def test_a_unit_that_one_phrase_fires_comes_out_as_the_phrase(decoys, explainer):
    river, bank, other = WORDS[60], WORDS[61], WORDS[70]
    phrase = (" the", river, bank)
    runs = {phrase: 40, (bank,): decoys, (" the", river): decoys, (other, river, bank): decoys, (" the", bank): decoys}
    windows, active = _planted(runs, phrase)
    (found,) = explain_one(explainer, evidence_of(active, windows), n=1)
    assert found.text == f"Fires on the end of “the{river}{bank}”."
    assert str(found.program) == f'0.0 + 2.0*sequence(token(" the"), token("{river}"), token("{bank}"))'


def test_claims_at_most_one_shuffled_unit_in_twenty(explainer):
    activations = PLANTED["meaning"](SEEN) + _noise(SEEN, 0.1)
    claimed = 0
    for seed in range(60):
        shuffled = np.random.default_rng(seed).permutation(activations.ravel()).reshape(activations.shape)
        claimed += bool(explain_one(explainer, evidence_of(shuffled, SEEN), n=1))
    assert claimed <= 3


def test_abstains_on_a_constant_and_on_no_windows(explainer):
    assert explain_one(explainer, evidence_of(np.ones(SEEN.tokens.shape), SEEN)) == []
    nothing = evidence_of(np.zeros(SEEN.tokens.shape), SEEN)
    nothing = dataclasses.replace(nothing, exemplars=nothing.exemplars.take(np.zeros(0, np.int64)))
    assert explain_one(ProgramExplainer(lexicon=LEXICON), nothing) == []


def test_the_sentence_is_short_and_the_english_of_the_program_within_the_limit():
    rng = np.random.default_rng(3)
    strengths = rng.gamma(0.3, 1.0, len(LEXICON)) * (rng.random(len(LEXICON)) < 0.3)
    activations = strengths[SEEN.tokens]
    for limit in (40, 200):
        found = explain_one(ProgramExplainer(limit=limit, lexicon=LEXICON), evidence_of(activations, SEEN))
        assert found and all(len(english(e.program)) <= limit and len(e.text) <= 200 for e in found)
        assert all(e.text.startswith("Fires on ") and e.text.endswith(".") and "/" not in e.text for e in found)
        assert all(parse_program(str(e.program)) == e.program for e in found)
    assert [e.rank for e in found] == list(range(len(found))) and len({str(e.program) for e in found}) == len(found)


def test_unrelated_modes_are_kept_apart(explainer):
    activations = is_in(SEEN, *TOPIC) * 1.0 + is_in(SEEN, *OTHER) * 1.0 + _noise(SEEN, 0.02)
    found = explain_one(explainer, evidence_of(activations, SEEN))
    modes = [e.program for e in found if e.provenance.settings["role"] == "mode"]
    assert len(modes) >= 2
    shares = []
    for program in modes[:2]:
        predicted = execute(program, FRESH, LEXICON) > 0.5
        shares.append([predicted[is_in(FRESH, *group)].mean() for group in (TOPIC, OTHER)])
    shares.sort()
    assert shares[0][0] < 0.1 < 0.9 < shares[0][1] and shares[1][1] < 0.1 < 0.9 < shares[1][0]


def test_an_explanation_is_the_same_whatever_came_before_and_on_any_number_of_workers(explainer):
    kinds = ("token", "meaning", "after")
    shown = [evidence_of(PLANTED[kind](SEEN) + _noise(SEEN, 0.05), SEEN) for kind in kinds]
    together = ProgramExplainer(lexicon=LEXICON).explain(shown, n=5, seed=0)
    for evidence, found in zip(reversed(shown), reversed(together), strict=True):
        alone = explain_one(explainer, evidence)
        assert [(str(e.program), e.text, e.provenance) for e in alone] == [
            (str(e.program), e.text, e.provenance) for e in found
        ]


def test_the_unlimited_program_is_at_least_the_lookup_table():
    rng = np.random.default_rng(5)
    strengths = rng.gamma(0.5, 1.0, len(LEXICON))
    truth = {
        w: strengths[w.tokens] * (1 + 2 * back(is_in(w, ",", ".", " the", " The"))) + _noise(w, 0.3)
        for w in (SEEN, FRESH)
    }
    evidence = evidence_of(truth[SEEN], SEEN)
    long = explain_one(ProgramExplainer(limit=None, table=True, lexicon=LEXICON), evidence, n=1)[0]
    table = explain_one(LookupExplainer(), evidence)[0]
    assert bits(long.program, LEXICON) > 1000
    r = [np.corrcoef(execute(e.program, FRESH, LEXICON).ravel(), truth[FRESH].ravel())[0, 1] for e in (long, table)]
    assert r[0] > r[1] + 0.005, "it also knows what a comma before does"


def test_works_without_embedding():
    found = explain_one(ProgramExplainer(), evidence_of(PLANTED["token"](SEEN) * 1.0, SEEN), n=1)
    assert found and WORDS[43].strip() in found[0].text


def test_in_parallel_keeps_order_and_raises():
    assert in_parallel(lambda x: x * x, range(7), workers=2) == [0, 1, 4, 9, 16, 25, 36]
    assert in_parallel(lambda x: x, []) == []
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda x: 1 // x, [1, 0], workers=2)
