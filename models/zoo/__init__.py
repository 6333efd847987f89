"""Model builders: real ONNX with seeded weights, one file a model."""

from collections.abc import Callable, Mapping
from inspect import getdoc, signature
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from emu.ir.errors import BadOption, UnknownName
from emu.models.model import Model
from emu.models.zoo.attention import attention
from emu.models.zoo.bert import bert_base, bert_large, bert_layer
from emu.models.zoo.conv_block import conv_block
from emu.models.zoo.decoder import decoder
from emu.models.zoo.diamond import diamond
from emu.models.zoo.few_rows import few_rows
from emu.models.zoo.gpt2 import gpt2
from emu.models.zoo.halo_chain import halo_chain
from emu.models.zoo.mlp import mlp
from emu.models.zoo.mobilenet_v2 import mobilenet_v2
from emu.models.zoo.resnet50 import resnet50
from emu.models.zoo.unet import unet
from emu.models.zoo.vit_b16 import vit_b16
from emu.models.zoo.wide_chain import wide_chain

Builder: TypeAlias = Callable[..., Model]

# Every builder takes its settings as keywords with defaults; all are positive integers.
BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "resnet50": resnet50,
        "mobilenet_v2": mobilenet_v2,
        "unet": unet,
        "bert_layer": bert_layer,
        "bert_base": bert_base,
        "bert_large": bert_large,
        "gpt2": gpt2,
        "decoder": decoder,
        "vit_b16": vit_b16,
        "mlp": mlp,
        "diamond": diamond,
        "conv_block": conv_block,
        "attention": attention,
        "halo_chain": halo_chain,
        "wide_chain": wide_chain,
        "few_rows": few_rows,
    }
)
# Nodes are objects of this process, unlike the elements of a weight, which nobody makes unasked.
MOST_LAYERS = 1000


class ZooModel(NamedTuple):
    """What the zoo can build: a name, one sentence, and the settings with their defaults."""

    name: str
    description: str
    settings: Mapping[str, int]


def zoo_models() -> tuple[ZooModel, ...]:
    """Return every model of the zoo, the large ones first."""
    return tuple(ZooModel(n, _first_line(b), _settings(b)) for n, b in BUILDERS.items())


def build(name: str, settings: Mapping[str, int]) -> Model:
    """Return a model of the zoo; its weights are made when somebody loads them.

    Raises UnknownName for a model or setting that does not exist, BadOption for a setting that is
    not a positive integer or more layers than memory holds.
    """
    if name not in BUILDERS:
        raise UnknownName("model", name, BUILDERS)
    known = _settings(BUILDERS[name])
    for setting, value in settings.items():
        if setting not in known:
            raise UnknownName(f"setting of {name}", setting, known)
        if type(value) is not int or value < 1:
            raise BadOption(f"setting {setting}={value} of {name} must be a positive integer")
        if setting == "layers" and value > MOST_LAYERS:
            raise BadOption(f"setting layers={value} of {name} must be at most {MOST_LAYERS}")
    return BUILDERS[name](**settings)


def _settings(builder: Builder) -> Mapping[str, int]:
    return MappingProxyType({p.name: p.default for p in signature(builder).parameters.values()})


def _first_line(builder: Builder) -> str:
    return (getdoc(builder) or "").partition("\n")[0]
