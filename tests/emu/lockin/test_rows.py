"""Every system of the field is one part, one interface, or one that comes later with a reason."""

import tomllib
from collections import Counter

from emu.lockin.catalogue import FOLDER, load_catalogue

SYSTEMS = """\
PyTorch
TensorFlow
JAX
PaddlePaddle
MindSpore
OneFlow
torch.compile
TorchInductor
XLA
OpenXLA
StableHLO / HLO
PJRT
TVM (Relay, AutoTVM, Ansor)
Triton
MLIR
TensorRT
ONNX Runtime
ONNX
nvcc / PTX
RBLN compiler
Furiosa compiler
XTCL
torch_npu
PyTorch/XLA
IPEX
DPC++
cuDNN
cuBLAS
MIOpen
rocBLAS
oneDNN
oneMKL
TT-NN
PopLibs
NCCL
RCCL
FlashAttention
CUDA-X
vLLM
SGLang
LMCache
NVIDIA Dynamo
Furiosa LLM
Furiosa SDK / RBLN SDK
NVIDIA AI Enterprise
CUDA Driver
ROCm driver (amdgpu)
Ascend driver (npu-driver)
Kunlun driver (xpu-driver)
i915 / xe
Furiosa driver + firmware
RBLN driver
CUDA Runtime
HIP Runtime / hipify
SYCL / oneAPI
libtpu (TPU Runtime)
CANN (runtime)
AscendCL
Kunlun XRE / XTDK
Furiosa SDK Runtime
RBLN Runtime
SynapseAI
NVML / nvidia-smi
MIG
ROCm SMI
MindX DL / Ascend Device Plugin (vNPU)
Kunlun Management Tool
XPU Manager
Cloud TPU management
Kubernetes device plug-ins (Furiosa, HAMi)
NVIDIA H100 / B200
Google TPU
AMD Instinct (MI300X)
Intel Gaudi
Huawei Ascend 910B/910C
Baidu Kunlun
Rebellions ATOM / REBEL
FuriosaAI Warboy / RNGD
Sapeon X220
Tenstorrent
Graphcore IPU
Qualcomm Cloud AI 100
""".splitlines()


def later() -> dict[str, str]:
    return tomllib.loads((FOLDER / "later.toml").read_text())["later"]


def test_each_system_stands_in_the_catalogue_exactly_once() -> None:
    known = load_catalogue()
    parts = [part for slot in known.parts.values() for part in slot.values()]
    found = Counter(row for p in (*parts, *known.interfaces.values()) for row in p.rows)
    found.update(list(later()))
    assert found == Counter(SYSTEMS)


def test_what_comes_later_says_why() -> None:
    assert all(len(why) > 20 for why in later().values())


def test_every_system_but_those_for_later_is_tried_by_some_stack_or_is_an_alternative() -> None:
    known = load_catalogue()
    used = {o.interface for s in known.parts.values() for p in s.values() for o in p.imports}
    named = [i.name for i in known.interfaces.values() if i.rows]
    assert [name for name in named if name not in used] == []
