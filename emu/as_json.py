"""One JSON object for a run, schema emu.run/1, with stable keys."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from emu.account import Account, GroupAccount
from emu.capacity import Excess, excess_of
from emu.digest import digest
from emu.energy import Energy
from emu.ir.trace import Traffic
from emu.run import Check, Run
from emu.stack import Partition, Stack
from emu.telemetry import telemetry


def run_json(run: Run) -> dict[str, Any]:
    """Everything that ``emu run`` reports, as numbers: ps, bytes, pJ.

    ``over_capacity`` is there only if the run does not fit the device, ``telemetry`` (a share of
    the time, watts, bytes) only if an orchestrator reads any.
    """
    account, compiled = Account(run.compiled), run.compiled
    trace, boundary, energy = compiled.trace, account.boundary, account.energy
    return {
        "schema": "emu.run/1",
        "model": compiled.model.name,
        "stack": stack_json(compiled.stack),
        "latency_ps": trace.total_ps,
        "ledger": trace.ledger,
        "groups": len(compiled.schedule.bindings),
        "nodes": len(compiled.lowered.nodes),
        "boundary_bytes": {
            "weights": boundary.weights,
            "activations_read": boundary.activations_read,
            "activations_written": boundary.activations_written,
        },
        "dram_bytes": traffic_json(account.traffic),
        "kept_bytes": trace.did.kept_bytes,
        "peak_onchip_bytes": trace.did.peak_onchip_bytes,
        "peak_device_bytes": trace.peak_device_bytes,
        "energy_pj": energy_json(energy),
        "coverage": dict(account.coverage),
        "utilisation": account.utilisation,
        "values": None if run.check is None else check_json(run.check),
        "per_group": [
            {**group_json(group), "dynamic_pj": pj}
            for group, pj in zip(account.groups, account.launches_pj, strict=True)
        ],
        "per_source": dict(account.per_source),
        "array_cycles": trace.did.array_cycles,
        "assumed": list(account.chip.sheet.assumed),
        "datasheet_digest": digest(account.chip.sheet),
        **_telemetry_json(account),
        **capacity_json(excess_of(compiled)),
    }


def energy_json(energy: Energy) -> dict[str, Any]:
    """The energy and its parts: ``operations`` and ``levels`` sum to ``dynamic``."""
    return {
        "total": energy.total,
        "dynamic": energy.dynamic,
        "static": energy.static,
        "operations": dict(energy.operations),
        "levels": dict(energy.levels),
    }


def capacity_json(excess: Excess | None) -> dict[str, Any]:
    """What was priced over capacity, nothing if all fits."""
    return {} if excess is None else {"over_capacity": asdict(excess)}


def stack_json(stack: Stack) -> dict[str, Any]:
    """The six slots."""
    compiler = stack.compiler
    return {
        "front_end": stack.front_end,
        "compiler": {
            "passes": list(compiler.passes),
            "scope": compiler.scope,
            "decider": compiler.decider,
            "trials": compiler.trials,
            "dtype": compiler.dtype,
            "layout": compiler.layout,
            "tiling": compiler.tiling,
            "fallback": compiler.fallback,
            "residency": compiler.residency,
            "graph_replay": compiler.graph_replay,
            **({"over_capacity": True} if compiler.over_capacity else {}),
        },
        "kernels": stack.kernels,
        "driver": stack.driver,
        "device": {
            "name": stack.device.name,
            "array_model": stack.device.array_model,
            "facts": list(stack.device.facts),
            **_partition_json(stack.device.partition),
        },
        "orchestrator": stack.orchestrator,
    }


def _partition_json(partition: Partition | None) -> dict[str, Any]:
    """The part of the chip, nothing if a program has all of it."""
    return {} if partition is None else {"partition": asdict(partition)}


def _telemetry_json(account: Account) -> dict[str, Any]:
    """What the orchestrator reads of the run, nothing if that is nothing."""
    read = telemetry(account)
    return {"telemetry": dict(read)} if read else {}


def traffic_json(traffic: Traffic) -> dict[str, int]:
    """Bytes of device memory by why they moved."""
    return {
        "compulsory": traffic.compulsory,
        "intermediate": traffic.intermediate,
        "reload": traffic.reload,
        "layout": traffic.layout,
    }


def check_json(check: Check) -> dict[str, Any]:
    """The comparison with the reference; null are errors without end and shapes that are equal."""
    return {
        "reference": check.reference,
        "max_abs_error": _finite(check.max_abs_error),
        "max_rel_error": _finite(check.max_rel_error),
        "tolerance": check.tolerance,
        "ok": check.ok,
        "unlike": check.unlike or None,
        "apart": check.apart,
        "numbers": check.numbers,
    }


def _finite(error: float) -> float | None:
    """JSON has no infinity, which is the error of a value that is not a number."""
    return error if isfinite(error) else None


def group_json(group: GroupAccount) -> dict[str, Any]:
    """One launch."""
    return {
        "name": group.binding.group.name,
        "nodes": list(group.binding.inside.nodes),
        "sources": list(group.sources),
        "kernel": group.binding.kernel,
        "ps": group.ps,
        "bound": group.bound,
        "ledger": group.ledger,
        "dram_bytes": traffic_json(group.launched.did.traffic),
        "array_cycles": group.launched.did.array_cycles,
    }
