from .directory import (
    RunDirectory as RunDirectory,
)
from .directory import (
    atomic_write as atomic_write,
)
from .directory import (
    load_run as load_run,
)
from .manifest import (
    DataSummary as DataSummary,
)
from .manifest import (
    Manifest as Manifest,
)
from .manifest import (
    PhaseRecord as PhaseRecord,
)
from .manifest import (
    WeightsUsed as WeightsUsed,
)
from .manifest import (
    collect_versions as collect_versions,
)
