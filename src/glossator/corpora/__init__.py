"""From texts to windows: where documents come from, how they are cut, and how they are split without leaks."""

from glossator.corpora.documents import Corpus, Document
from glossator.corpora.probe_set import FRACTIONS, ProbeSet, probe_set
from glossator.corpora.sources import open_corpus
from glossator.corpora.splits import assign_splits, group_by_shared_runs
from glossator.corpora.windows import TextTokenizer, make_windows

__all__ = [
    "FRACTIONS",
    "Corpus",
    "Document",
    "ProbeSet",
    "TextTokenizer",
    "assign_splits",
    "group_by_shared_runs",
    "make_windows",
    "open_corpus",
    "probe_set",
]
