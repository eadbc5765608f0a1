"""Programs over images from a unit's exemplars: what is fitted, the candidates, the search, headlines."""
