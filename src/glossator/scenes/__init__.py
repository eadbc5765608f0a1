"""Images with known content: scenes as graphs, from which pictures, exact masks and captions are made."""

from glossator.scenes.inputs import SceneImages
from glossator.scenes.render import Rendered, render
from glossator.scenes.sampling import random_scenes
from glossator.scenes.scene import Relation, Scene, Thing

__all__ = ["Relation", "Rendered", "Scene", "SceneImages", "Thing", "random_scenes", "render"]
