"""Substitutions as JSON objects with stable keys: emu.swap/1 and emu.lockin/1."""

from typing import Any

from emu.ir.errors import ContractError
from emu.lockin.outcome import Outcome
from emu.lockin.parts import title
from emu.lockin.trial import Failure


def swap_json(
    stack: str, outcome: Outcome, types: tuple[str, ...], model: str, checked: str
) -> dict[str, Any]:
    """One substitution; ``checked`` says whether values were compared."""
    return {
        "schema": "emu.swap/1",
        "stack": stack,
        "replace": {slot: title(bundle) for slot, bundle in outcome.replaced.items()},
        "outcome": outcome.kind,
        "ratio": outcome.ratio,
        "error": None if outcome.failure is None else failure_json(outcome.failure),
        "cofactors": [[slot, title(bundle)] for slot, bundle in outcome.cofactors],
        "blocking": [list(contracts) for contracts in outcome.blocking],
        "lockin_types": list(types),
        "model": model,
        "checked": checked,
    }


def failure_json(failure: Failure) -> dict[str, Any]:
    """Where a stack failed; what is no contract has a message only."""
    error = failure.error
    sides = (error.have, error.need) if isinstance(error, ContractError) else ("", str(error))
    return {
        "contract": failure.contract,
        "name": failure.name,
        "stage": failure.stage,
        "have": sides[0],
        "need": sides[1],
    }


def lockin_json(stack: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """All substitutions of one stack."""
    return {"schema": "emu.lockin/1", "stack": stack, "cells": cells}
