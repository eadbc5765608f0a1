"""N-grams of a corpus as texts, with their counts and occurrences."""

from glossator.corpora.ngrams.extract import CorpusLike, Ngrams, NgramSpec, extract_ngrams

__all__ = ["CorpusLike", "NgramSpec", "Ngrams", "extract_ngrams"]
