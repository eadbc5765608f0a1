"""Headlines: what a unit responds to in a few plain words, each an executable class of tokens, without a model."""
