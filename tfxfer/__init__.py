"""Transfer learning for Keras: plugins for backbones and heads, and a cached freeze frontier."""

from __future__ import annotations

import lazy_loader

from tfxfer.system.lazy import explain_failures

# Resolved at first use, as `__init__.pyi` lists them: `import tfxfer` must not cost the seconds
# that TensorFlow takes, since `tfxfer --version` and every shell completion pay for it, too.
_get, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = explain_failures(_get)
