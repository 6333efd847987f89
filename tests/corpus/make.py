"""Write the corpus: networks of nets/ through the two exporters of PyTorch.

In a throw-away environment with torch 2.13 (CPU) and onnxscript, none of which emu needs:
``python tests/corpus/make.py [NAME ...]``. Weights are random with a fixed seed; a file holds no
record of where it was made.
"""

import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import torch
from nets import sequence, vision
from torch import Tensor, nn

FILES = Path(__file__).parent / "files"
MOST_BYTES = 100_000


@dataclass(frozen=True)
class Case:
    """A network, example inputs by name, and how it is exported."""

    net: object
    inputs: dict[str, Tensor]
    opset: int
    new: bool = False  # the exporter by torch.export, else the one by TorchScript
    axes: dict[str, dict[int, str]] = field(default_factory=dict)
    external: bool = False


def image(size: int = 32, batch: int = 1, channels: int = 3) -> dict[str, Tensor]:
    return {"image": torch.rand(batch, channels, size, size)}


def ids(batch: int = 2, length: int = 8, words: int = 30) -> Tensor:
    return torch.randint(0, words, (batch, length))


def text(length: int = 8) -> dict[str, Tensor]:
    mask = torch.ones(2, length, dtype=torch.int64)
    return {"ids": ids(length=length), "mask": mask, "kinds": torch.zeros_like(mask)}


def step(past: int = 5, new: int = 2) -> dict[str, Tensor]:
    cache = {f"past_{name}": torch.rand(1, 2, past, 4) for name in "kv"}
    return {"ids": ids(1, new), **cache}


BATCH = {"image": {0: "batch"}}
SPOTS = {"image": {0: "batch", 2: "height", 3: "width"}}
TEXT = {name: {0: "batch", 1: "seq"} for name in ("ids", "mask", "kinds")}
STEP = {"past_k": {2: "past"}, "past_v": {2: "past"}}
GRAPH = {"x": torch.rand(6, 8), "edges": torch.randint(0, 6, (2, 10))}
RING = {"x": torch.rand(6, 8), "adjacency": (torch.rand(6, 6) > 0.6).float()}
STATE = {"x": torch.rand(5, 2, 8), "h": torch.rand(1, 2, 10), "c": torch.rand(1, 2, 10)}
PAIR = {"source": ids(2, 7), "target": ids(2, 5)}
TABLE = {"dense": torch.rand(3, 6), "kinds": ids(3, 3, 10), "bag": ids(3, 4, 25)}
NOISE = {**image(16, 2, 1), "noise": torch.rand(2, 4)}
LATENT = {"image": torch.rand(2, 16, 1, 1)}
DENOISE = {**image(8, 2), "step": torch.tensor([3, 7])}

CASES = {
    "alexnet": Case(vision.AlexNet, image(64), 13),
    "vgg": Case(vision.Vgg, image(16), 14, axes=BATCH),
    "densenet": Case(vision.Dense, image(16, 2), 15),
    "inception": Case(vision.Inception, image(), 17),
    "shufflenet": Case(vision.Shuffle, image(16), 16, axes=BATCH),
    "efficientnet": Case(vision.EfficientNet, image(), 18, new=True),
    "efficientnet_script": Case(vision.EfficientNet, image(), 13),
    "mobilenet_v3": Case(vision.mobilenet_v3, image(), 20, new=True),
    "convnext": Case(vision.ConvNext, image(), 18, new=True, axes=BATCH),
    "convnext_script": Case(vision.ConvNext, image(), 17),
    "unet_tiny": Case(vision.Unet, image(16, 1, 1), 11, axes=SPOTS),
    "deeplab": Case(vision.Aspp, image(), 13),
    "deeplab_dynamic": Case(vision.Aspp, image(), 17, axes=SPOTS),
    "yolo": Case(vision.Yolo, image(), 18, new=True),
    "yolo_script": Case(vision.Yolo, image(), 12),
    "ssd": Case(vision.Ssd, image(), 18, new=True),
    "ssd_script": Case(vision.Ssd, image(), 16),
    "dcgan": Case(vision.Generator, LATENT, 17, axes=BATCH),
    "vae": Case(vision.Autoencoder, NOISE, 21, new=True),
    "stylise": Case(vision.Stylise, image(16), 18),
    "vit": Case(vision.Vit, image(16), 18, new=True, axes=BATCH),
    "vit_script": Case(vision.Vit, image(16), 14, axes=BATCH),
    "swin": Case(vision.Swin, image(), 18, new=True),
    "swin_script": Case(vision.Swin, image(), 17),
    "mixer": Case(vision.Mixer, image(16), 20, new=True),
    "diffusion": Case(vision.Diffusion, DENOISE, 23, new=True),
    "bert": Case(sequence.Bert, text(), 14, axes=TEXT),
    "bert_new": Case(sequence.Bert, text(), 22, new=True, axes=TEXT),
    "gpt": Case(sequence.Gpt, {"ids": ids()}, 18, new=True, axes={"ids": {1: "seq"}}),
    "gpt_script": Case(sequence.Gpt, {"ids": ids()}, 17, axes={"ids": {0: "batch", 1: "seq"}}),
    "gpt_newest": Case(sequence.Gpt, {"ids": ids()}, 24, new=True),
    "llama_cache": Case(sequence.Llama, step(), 18, new=True, axes=STEP),
    "llama_cache_script": Case(sequence.Llama, step(), 16, axes=STEP),
    "llama_prompt": Case(sequence.Llama, step(1, 6), 21, new=True),
    "translate": Case(sequence.Translate, PAIR, 18, new=True),
    "translate_script": Case(sequence.Translate, PAIR, 17),
    "lstm": Case(
        lambda: sequence.Recurrent(nn.LSTM, both=True), {"ids": ids()}, 13, axes={"ids": {0: "n"}}
    ),
    "lstm_state": Case(sequence.Steps, STATE, 18, new=True),
    "gru": Case(lambda: sequence.Recurrent(nn.GRU, layers=2), {"ids": ids()}, 15),
    "rnn": Case(lambda: sequence.Recurrent(nn.RNN), {"ids": ids()}, 14),
    "graph_conv": Case(sequence.GraphConv, RING, 18, new=True),
    "graph_edges": Case(sequence.GraphEdges, GRAPH, 16, axes={"edges": {1: "edges"}}),
    "graph_edges_new": Case(sequence.GraphEdges, GRAPH, 18, new=True),
    "conformer": Case(sequence.Conformer, {"x": torch.rand(1, 12, 8)}, 18, new=True),
    "conformer_script": Case(sequence.Conformer, {"x": torch.rand(1, 12, 8)}, 17),
    "wav2vec": Case(sequence.Wave, {"x": torch.rand(1, 120)}, 17, axes={"x": {1: "samples"}}),
    "wavenet": Case(sequence.WaveNet, {"x": torch.rand(1, 4, 16)}, 19, new=True),
    "experts": Case(sequence.Experts, {"x": torch.rand(5, 12)}, 18, new=True),
    "experts_script": Case(sequence.Experts, {"x": torch.rand(5, 12)}, 13),
    "recommend": Case(sequence.Recommend, TABLE, 18, new=True, external=True),
    "points": Case(sequence.Points, {"x": torch.rand(2, 3, 20)}, 16),
    "towers": Case(sequence.Towers, {"image": torch.rand(3, 20), "text": ids(3, 6)}, 17),
    "state_space": Case(sequence.StateSpace, {"x": torch.rand(2, 7, 8)}, 18, new=True),
    "forecast": Case(sequence.Forecast, {"x": torch.rand(2, 4, 6)}, 17),
}


def network(case: Case) -> nn.Module:
    """Return the network with fixed random weights and statistics of batch norms."""
    torch.manual_seed(1)
    net = case.net().eval()
    for part in net.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return net


def export(name: str, case: Case) -> Path:
    """Write one file, and the weights beside it where the case says so."""
    path = FILES / f"{name}.onnx"
    given = tuple(case.inputs.values())
    named = {"input_names": list(case.inputs), "opset_version": case.opset}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.new:
            dims = tuple(case.axes.get(name, {}) for name in case.inputs)
            shapes = dims if case.axes else None
            torch.onnx.export(
                network(case),
                given,
                path,
                dynamo=True,
                dynamic_shapes=shapes,
                **named,
                external_data=case.external,
                verbose=False,
            )
        else:
            torch.onnx.export(
                network(case), given, path, dynamo=False, dynamic_axes=case.axes, **named
            )
    _plain(path, case.external)
    return path


def _plain(path: Path, external: bool) -> None:
    """Remove what tells where a file was made: stack traces, paths."""
    proto = onnx.load(path, load_external_data=False)
    nodes = [*proto.graph.node, *(n for f in proto.functions for n in f.node)]
    for part in (
        proto,
        proto.graph,
        *nodes,
        *proto.graph.value_info,
        *proto.graph.input,
        *proto.graph.output,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    path.write_bytes(proto.SerializeToString())


def main(names: list[str]) -> None:
    """Export the cases of these names, all if there are none."""
    FILES.mkdir(exist_ok=True)
    for name in names or CASES:
        path = export(name, CASES[name])
        print(f"{path.name} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
