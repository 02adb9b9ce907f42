"""Transfer learning for Keras: plugins for backbones and heads, and a cached freeze frontier."""

from __future__ import annotations

import lazy_loader

# Resolved at first use, as `__init__.pyi` lists them: `import tfxfer` must not cost the seconds
# that TensorFlow takes, since `tfxfer --version` and every shell completion pay for it, too.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
