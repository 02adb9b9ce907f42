"""Ctrl-C and SIGTERM are obeyed while a decoder is at work, which nothing can stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

# A decoder stands in that computes for minutes, in C and without the lock. One that slept would be
# woken by the signal.
PROGRAM = """
import hashlib, sys
import tfxfer.images.decode as decode
from tfxfer.cli.main import main

def stuck(*_, **__):
    print("decoding", flush=True, file=sys.stderr)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)

decode._probe_content = stuck
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", ["audit", "predict"])
def test_a_signal_is_obeyed_while_something_is_decoded(
    sent: signal.Signals, code: int, command: str, tmp_path: Path
) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.new("RGB", (32, 32), (number, 9, 9)).save(tmp_path / label / f"{number}.png")
    model = tmp_path / "x.keras"
    model.write_bytes(b"PK")  # photos are read before a model is
    photo = str(tmp_path / "a" / "0.png")
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    asked = [str(model), photo, "--labels", str(labels)]
    arguments = ["predict", *asked] if command == "predict" else ["audit", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        assert any("decoding" in line for line in process.stderr)
        time.sleep(0.2)
        process.send_signal(sent)
        started = time.monotonic()
        # The decoder goes on for minutes: a process that waits for it fails by far.
        assert process.wait(timeout=20) == code
        print(f"ended after {time.monotonic() - started:.2f} s")
    finally:
        process.kill()
        process.communicate()
