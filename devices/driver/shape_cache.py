"""What a driver compiled of portable sections, kept by shape: each new shape costs a recompile."""

from collections.abc import Callable
from dataclasses import dataclass, field

from emu.ir.body import Body
from emu.ir.tile import TileProgram


@dataclass(eq=False)
class ShapeCache:
    """Compiles a body when it is first met; a body states its shapes, so another one is a miss."""

    compile: Callable[[Body], TileProgram]
    kept: dict[Body, TileProgram] = field(default_factory=dict[Body, TileProgram])
    hits: int = 0

    @property
    def misses(self) -> int:
        """How often something was compiled."""
        return len(self.kept)

    def __call__(self, body: Body) -> TileProgram:
        """The tile program of a body; raises what the compiler raises, and then keeps nothing."""
        if body in self.kept:
            self.hits += 1
        else:
            self.kept[body] = self.compile(body)
        return self.kept[body]
