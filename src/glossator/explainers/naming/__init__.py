"""Names for what a unit of text responds to: candidates from its responses, ranked on texts not seen by naming."""
