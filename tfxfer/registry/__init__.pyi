from .component import Component as Component
from .discovery import GROUPS as GROUPS
from .lookup import (
    RESERVED_COMMANDS as RESERVED_COMMANDS,
)
from .lookup import (
    Registry as Registry,
)
from .lookup import (
    default_registry as default_registry,
)
from .lookup import (
    get_backbone as get_backbone,
)
from .lookup import (
    get_head as get_head,
)
from .lookup import (
    get_modality as get_modality,
)
from .suggestion import suggest_distribution as suggest_distribution
