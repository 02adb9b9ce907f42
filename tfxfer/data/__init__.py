"""Folder or CSV → audited, stratified, seeded samples."""

from __future__ import annotations

import lazy_loader

# Loaded on first use: `tfxfer --version` must not pay for numpy and Pillow.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
