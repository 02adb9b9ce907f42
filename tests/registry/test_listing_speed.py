"""Listing what is installed stays fast, however much that is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tfxfer.registry.discovery import GROUPS


def test_listing_500_distributions_is_fast_and_imports_nothing(tmp_path: Path) -> None:
    groups = list(GROUPS)
    for number in range(500):
        folder = tmp_path / f"fake_plugin_{number}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fake-plugin-{number}\nVersion: 1.0\n"
        )
        (folder / "entry_points.txt").write_text(
            f"[{groups[number % len(groups)]}]\nfake_{number} = fake_plugin:Fake{number}\n"
            f"[tfxfer.defaults]\nhead = fake_{number}\n"
        )
    (tmp_path / "fake_plugin.py").write_text("raise RuntimeError('imported')\n")
    code = (
        "import json, sys, time\n"
        "from tfxfer.registry import Registry\n"
        "started = time.process_time()\n"
        "found = [c.status for c in Registry().list() if c.name.startswith('fake_')]\n"
        "seconds = time.process_time() - started\n"
        "heavy = {'fake_plugin', 'tensorflow', 'keras', 'numpy', 'PIL', 'click', 'rich'}\n"
        "heavy = sorted(heavy & {*sys.modules})\n"
        "print(json.dumps([len(found), sorted(set(found)), seconds, heavy]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    count, statuses, seconds, heavy = json.loads(done.stdout)
    assert (count, statuses, heavy) == (500, ["ok"], [])
    # 0.1 s of the processor, so that other work does not count; the bound only catches what grows
    # with the square of the number.
    assert seconds < 2.0
