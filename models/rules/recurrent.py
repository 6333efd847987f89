"""RNN, GRU and LSTM step by step: the sequence has a length, so every step becomes nodes.

The products with the input are one for all steps; a state that is absent is zero, and what would be
computed from it is left out. Formulas: ONNX, operators RNN, GRU and LSTM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.models.rules.expanding import Sketch
from emu.models.rules.site import Calls, Rule, Site

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
PLAIN = ("Relu", "Tanh", "Sigmoid", "Softsign", "Softplus")
TURNS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@dataclass(frozen=True)
class Cell:
    """The sizes of a recurrent node, checked: steps, batch, input and hidden width, directions."""

    site: Site

    @cached_property
    def turns(self) -> tuple[bool, ...]:
        """Whether each direction goes backwards."""
        direction = self.site.text("direction", "forward")
        if direction not in TURNS:
            raise ModelError(f"{self.site.where}: there is no direction '{direction}'")
        return TURNS[direction]

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """Steps, batch, width of the input, hidden width."""
        site, gates = self.site, GATES[self.site.op]
        x, w, r = (site.type(i).dims for i in range(3))
        if len(x) != 3 or len(w) != 3 or len(r) != 3:
            raise ModelError(f"{site.where}: takes input and weights of rank 3, not {site.type()}")
        hidden, turns = r[2], len(self.turns)
        if w != (turns, gates * hidden, x[2]) or r != (turns, gates * hidden, hidden) or not x[0]:
            raise ModelError(f"{site.where}: weights {site.type(1)}, {site.type(2)} do not fit")
        if site.integer("hidden_size", hidden) != hidden:
            raise ModelError(f"{site.where}: hidden_size is not the {hidden} of its weights")
        first, second = (x[1], x[0]) if self.batch_first else x[:2]
        return first, second, x[2], hidden

    @cached_property
    def batch_first(self) -> bool:
        """Whether the batch is the first dimension, not the steps."""
        return self.site.integer("layout", 0) == 1

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """The activations of all directions in turn."""
        usual = DEFAULTS[self.site.op]
        given = self.site.attrs.get("activations", usual * len(self.turns))
        if not isinstance(given, tuple) or any(f not in PLAIN for f in given):
            raise self.site.refuse(f"activations other than {', '.join(PLAIN)} are not supported")
        if len(given) != len(usual) * len(self.turns):
            raise ModelError(f"{self.site.where}: has {len(given)} activations")
        return tuple(str(f) for f in given)

    @cached_property
    def ends_early(self) -> bool:
        """Whether a sequence may have fewer steps than there are."""
        if not self.site.has(LENGTHS):
            return False
        known = self.site.constants.get(self.site.inputs[LENGTHS])
        if known is None or known.inline is None:
            return True
        return any(int(n) != self.sizes[0] for n in known.inline.reshape(-1))

    def check(self) -> None:
        """Raise UnsupportedOp for what has no steps here."""
        site = self.site
        if site.has(7):
            raise site.refuse("peepholes are not supported")
        for name in ("clip", "input_forget"):
            if site.attrs.get(name):
                raise site.refuse(f"{name} is not supported")


@dataclass(frozen=True)
class Direction:
    """One direction of a cell: the names of its weights, and where it starts."""

    write: Sketch
    functions: tuple[str, ...]
    inputs: tuple[str, ...]  # [batch, gates * hidden] of each step, with biases
    recurrent: str  # [gates * hidden, hidden]
    later_bias: str  # [gates * hidden] of the recurrent product, "" if there is none
    hidden: int
    options: Mapping[str, int]

    def split(self, x: str, count: int, axis: int = 1) -> tuple[str, ...]:
        """The gates of a value."""
        return self.write.parts(x, axis, self.hidden, count)

    def product(self, h: str, weight: str, bias: str) -> str:
        """h @ weight^T + bias."""
        inputs = (h, weight, bias) if bias else (h, weight)
        return self.write("Gemm", *inputs, alpha=1.0, beta=1.0, transA=0, transB=1)


State = tuple[str, str]  # hidden and cell; "" is zero


def _rnn(at: Direction, x: str, state: State) -> State:
    gate = at.product(state[0], at.recurrent, x) if state[0] else x
    return at.write(at.functions[0], gate), ""


def _lstm(at: Direction, x: str, state: State) -> State:
    """Gates in the order input, output, forget, cell."""
    (h, c), (f, g, out) = state, at.functions
    i, o, forget, cell = at.split(at.product(h, at.recurrent, x) if h else x, 4)
    new = at.write("Mul", at.write(f, i), at.write(g, cell))
    if c:
        new = at.write("Add", at.write("Mul", at.write(f, forget), c), new)
    return at.write("Mul", at.write(f, o), at.write(out, new)), new


def _gru(at: Direction, x: str, state: State) -> State:
    """Gates in the order update, reset, hidden: h' = (1 - z) n + z h, written n + z (h - n)."""
    (h, _), (f, g) = state, at.functions
    xz, xr, xn = at.split(x, 3)
    if not h and not at.later_bias:
        n, z = at.write(g, xn), at.write(f, xz)
        return at.write("Sub", n, at.write("Mul", z, n)), ""
    wz, wr, wn = at.split(at.recurrent, 3, axis=0)
    bz, br, bn = at.split(at.later_bias, 3, axis=0) if at.later_bias else ("", "", "")
    z = at.write(f, _sum(at, xz, h, wz, bz))
    r = at.write(f, _sum(at, xr, h, wr, br))
    if at.options["linear_before_reset"]:
        inner = at.product(h, wn, bn) if h else bn
        n = at.write(g, at.write("Add", xn, at.write("Mul", r, inner)) if inner else xn)
    else:
        n = at.write(g, _sum(at, xn, at.write("Mul", r, h) if h else "", wn, bn))
    if not h:
        return at.write("Sub", n, at.write("Mul", z, n)), ""
    return at.write("Add", n, at.write("Mul", z, at.write("Sub", h, n))), ""


def _sum(at: Direction, x: str, h: str, weight: str, bias: str) -> str:
    inner = at.product(h, weight, bias) if h else bias
    return at.write("Add", x, inner) if inner else x


LENGTHS = 4  # the input that says how many steps each sequence has
STEPS = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}


def recurrent(site: Site) -> Calls:
    """Outputs: all hidden states [steps, directions, batch, hidden], the last, the last cells."""
    cell, write = Cell(site), Sketch(site)
    cell.check()
    x = site.inputs[0]
    if cell.batch_first:
        x = write("Transpose", x, perm=(1, 0, 2))
    runs = [_run(cell, write, x, number) for number in range(len(cell.turns))]
    steps = [write("Concat", *h, axis=1) for h in zip(*[r[0] for r in runs], strict=True)]
    every = _outputs(cell, write, steps, [r[1] for r in runs], [r[2] for r in runs])
    for value, output in zip(every, site.outputs, strict=False):
        write.bind(value, output)
    return tuple(write.written)


def _outputs(
    cell: Cell, write: Sketch, steps: list[str], last: list[str], cells: list[str]
) -> tuple[str, ...]:
    """All states, the last and the cells; steps are [1, directions, batch, hidden] each."""
    y = write("Concat", *steps, axis=0)
    ends = tuple(write("Concat", *e, axis=0) for e in (last, cells) if all(e))
    if not cell.batch_first:
        return (y, *ends)
    turned = (write("Transpose", e, perm=(1, 0, 2)) for e in ends)
    return (write("Transpose", y, perm=(2, 0, 1, 3)), *turned)


def _run(cell: Cell, write: Sketch, x: str, number: int) -> tuple[list[str], str, str]:
    """The states of one direction in the order of the input, its last state and its last cell."""
    steps, batch, _, hidden = cell.sizes
    at = _direction(cell, write, x, number)
    state = (_initial(cell, write, 5, number), _initial(cell, write, 6, number))
    order = range(steps)[::-1] if cell.turns[number] else range(steps)
    going = _going(cell, write)
    zero = write.number(0.0) if going else ""
    found: dict[int, str] = {}
    for step in order:
        new = STEPS[cell.site.op](at, at.inputs[step], state)
        made = write("Where", going[step], new[0], zero) if going else new[0]
        state = _chosen(write, going[step], new, state, zero) if going else new
        found[step] = write("Reshape", made, shape=(1, 1, batch, hidden))
    if going:  # of a sequence without steps onnxruntime says zeros, not where it started
        state = _chosen(write, going[0], state, ("", ""), zero)
    ends = [write("Reshape", s, shape=(1, batch, hidden)) if s else "" for s in state]
    return [found[step] for step in range(steps)], ends[0], ends[1]


def _chosen(write: Sketch, going: str, new: State, old: State, zero: str) -> State:
    """Of each sequence the new state if it is going on, else the old one."""
    h, c = (
        write("Where", going, mine, other or zero) if mine else ""
        for mine, other in zip(new, old, strict=True)
    )
    return h, c


def _going(cell: Cell, write: Sketch) -> tuple[str, ...]:
    """For each step, which sequences have it, [batch, 1]; nothing where all have all.

    What is behind the end of a sequence leaves its state as it was, in both directions, and makes
    zeros.
    """
    if not cell.ends_early:
        return ()
    steps, batch = cell.sizes[:2]
    places = write.given(np.arange(steps, dtype=np.int32).reshape(-1, 1))
    truths = write("Less", places, write.site.inputs[LENGTHS])
    return write.parts(write("Reshape", truths, shape=(steps * batch, 1)), 0, batch, steps)


def _initial(cell: Cell, write: Sketch, index: int, number: int) -> str:
    """The state that a direction starts from, [batch, hidden]; "" if none is given."""
    site, (_, batch, _, hidden) = cell.site, cell.sizes
    if not site.has(index):
        return ""
    given = site.inputs[index]
    if cell.batch_first:
        given = write("Transpose", given, perm=(1, 0, 2))
    part = write.parts(given, 0, 1, len(cell.turns))[number]
    return write("Reshape", part, shape=(batch, hidden))


def _direction(cell: Cell, write: Sketch, x: str, number: int) -> Direction:
    site, (steps, batch, width, hidden), turns = cell.site, cell.sizes, len(cell.turns)
    rows = GATES[site.op] * hidden
    w, r = (
        write("Reshape", write.parts(site.inputs[i], 0, 1, turns)[number], shape=(rows, size))
        for i, size in ((1, width), (2, hidden))
    )
    bias, later = _biases(cell, write, number, rows)
    flat = write("Reshape", x, shape=(steps * batch, width))
    given = (flat, w, bias) if bias else (flat, w)
    products = write("Gemm", *given, alpha=1.0, beta=1.0, transA=0, transB=1)
    each = len(DEFAULTS[site.op])
    return Direction(
        write,
        cell.functions[number * each : (number + 1) * each],
        write.parts(products, 0, batch, steps),
        r,
        later,
        hidden,
        {"linear_before_reset": site.integer("linear_before_reset", 0)},
    )


def _biases(cell: Cell, write: Sketch, number: int, rows: int) -> tuple[str, str]:
    """The bias of the input's product, and what must be added to the recurrent one.

    Both are added at once but in GRU, where the reset gate may come between.
    """
    site = cell.site
    if not site.has(3):
        return "", ""
    part = write.parts(site.inputs[3], 0, 1, len(cell.turns))[number]
    flat = write("Reshape", part, shape=(2 * rows,))
    first, second = write.parts(flat, 0, rows, 2)
    if site.op == "GRU":
        return first, second
    return write("Add", first, second), ""


RULES: Mapping[str, Rule] = MappingProxyType(dict.fromkeys(GATES, recurrent))
