"""What samples ask of a contract, beside the one that a model was trained with."""

from __future__ import annotations

from typing import Any

from tfxfer.data.audit import Inspection
from tfxfer.modality import Modality

__all__ = ["compare_contract"]


def compare_contract(contract: Any, inspection: Inspection, modality: Modality) -> tuple[str, ...]:
    """Returns what is to be said of data that a model is not trained on, but only asked about."""
    fitted, words = modality.fit_contract(contract, inspection.facts)
    before, after = contract.to_dict(), fitted.to_dict()
    other = [f"{key}={value!r}" for key, value in after.items() if before.get(key) != value]
    if not other:
        return words
    return (
        f"the model reads {modality.plural} as those it was trained on, though these ask for "
        f"{', '.join(other)}",
    )
