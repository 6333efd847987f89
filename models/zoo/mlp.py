"""A multilayer perceptron: the smallest model with weights worth moving."""

from emu.models.model import Model
from emu.models.zoo.draft import Draft
from emu.models.zoo.transformer import linear


def mlp(
    *, batch: int = 1, features: int = 784, hidden: int = 512, layers: int = 3, classes: int = 10
) -> Model:
    """Fully connected layers as MatMul, Add and Relu, without a Relu after the last."""
    draft = Draft("mlp")
    x, size = draft.input("x", (batch, features)), features
    for layer in range(layers - 1):
        gain = 1.0 if layer == 0 else 2.0
        x = linear(draft, f"layer{layer}", x, (size, hidden), gain)
        x, size = draft.node("Relu", f"layer{layer}.relu", x), hidden
    linear(draft, "last", x, (size, classes), gain=2.0, output="logits")
    return draft.finish({"logits": (batch, classes)})
