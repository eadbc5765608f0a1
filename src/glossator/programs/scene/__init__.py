"""Programs over images: tests of what a place shows and of how its pixels look, in the same language as other programs.

`atoms` are the tests, `content` computes them from annotations and pixels, `execute` runs programs of either language.
"""

from glossator.programs.scene.atoms import Anywhere, Beside, Looks, Shows, Together

__all__ = ["Anywhere", "Beside", "Looks", "Shows", "Together"]
