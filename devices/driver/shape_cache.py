"""What was compiled for a shape when it was first met, and is kept: a new one costs a recompile.

Drivers keep portable sections so, and compilers of dynamic shapes whole programs.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Shaped = TypeVar("Shaped", bound=Hashable)
Made = TypeVar("Made")


@dataclass(eq=False)
class ShapeCache(Generic[Shaped, Made]):
    """Compiles what states its shapes, such as a body, when it is first met: others are a miss."""

    compile: Callable[[Shaped], Made]
    kept: dict[Shaped, Made] = field(default_factory=dict[Shaped, Made])
    hits: int = 0

    @property
    def misses(self) -> int:
        """How often something was compiled."""
        return len(self.kept)

    def __call__(self, shaped: Shaped) -> Made:
        """What is made of it; raises what the compiler raises, and then keeps nothing."""
        if shaped in self.kept:
            self.hits += 1
        else:
            self.kept[shaped] = self.compile(shaped)
        return self.kept[shaped]
