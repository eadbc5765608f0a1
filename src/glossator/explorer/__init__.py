"""The explorer: pages that display a study. For now, one self-contained file."""
