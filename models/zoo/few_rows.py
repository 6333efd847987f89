"""Where fusion leaves cores idle: products of few rows, which one tile of a chain takes whole."""

from emu.models.model import Model
from emu.models.zoo.draft import Draft, fan_in


def few_rows(*, batch: int = 64, features: int = 256, hidden: int = 512) -> Model:
    """Two matrix products over 64 rows: apart they spread over columns, in a chain over rows."""
    draft = Draft("few_rows")
    x = draft.input("x", (batch, features))
    up = draft.weight("up.weight", (features, hidden), fan_in(features))
    down = draft.weight("down.weight", (hidden, features), fan_in(hidden))
    draft.node("MatMul", "y", draft.node("MatMul", "up", x, up), down)
    return draft.finish({"y": (batch, features)})
