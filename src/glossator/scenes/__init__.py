"""Images with known content: scenes as graphs, from which pictures, exact masks and captions are made."""

from glossator.scenes.scene import Relation, Scene, Thing

__all__ = ["Relation", "Scene", "Thing"]
