"""The modality passes the conformance kit."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tfxfer.testing import check_modality
from tfxfer_text import TextModality, Tokenization

TEXTS = ["call me now please", "free entry in a weekly competition", "see you at the station"]


def test_the_modality_passes_the_kit(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{x}" for x in letters)]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    contract = Tokenization(hashlib.sha256(path.read_bytes()).hexdigest(), "minilm_l6", path=path)
    report = check_modality(TextModality, samples=TEXTS, contract=contract, size=48)
    outcomes = {result.name: (result.outcome, result.message) for result in report.results}
    odd = {name: found for name, found in outcomes.items() if found[0] != "passed"}
    assert set(odd) <= {"provenance"}, odd
