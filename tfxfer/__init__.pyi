# What `import tfxfer` offers, read by type checkers and by `lazy_loader` alike.

from .application import ApplicationBackbone as ApplicationBackbone
from .backbone import (
    BACKBONE_END as BACKBONE_END,
)
from .backbone import (
    CONTRACT_VERSION as CONTRACT_VERSION,
)
from .backbone import (
    Backbone as Backbone,
)
from .backbone import (
    Stage as Stage,
)
from .backbone import (
    Weights as Weights,
)
from .closed_form import ClosedForm as ClosedForm
from .data.loading import load_samples as load_samples
from .demo import Demo as Demo
from .demo import DemoSamples as DemoSamples
from .errors import (
    ContractError as ContractError,
)
from .errors import (
    DataError as DataError,
)
from .errors import (
    DeviceError as DeviceError,
)
from .errors import (
    GateError as GateError,
)
from .errors import (
    ImageError as ImageError,
)
from .errors import (
    ModelError as ModelError,
)
from .errors import (
    PluginConflictError as PluginConflictError,
)
from .errors import (
    PluginError as PluginError,
)
from .errors import (
    PluginImportError as PluginImportError,
)
from .errors import (
    RunError as RunError,
)
from .errors import (
    ScheduleError as ScheduleError,
)
from .errors import (
    SetupError as SetupError,
)
from .errors import (
    StorageError as StorageError,
)
from .errors import (
    TfxferError as TfxferError,
)
from .errors import (
    UnknownBackboneError as UnknownBackboneError,
)
from .errors import (
    UnknownHeadError as UnknownHeadError,
)
from .errors import (
    UnknownPluginError as UnknownPluginError,
)
from .errors import (
    UsageError as UsageError,
)
from .errors import (
    WeightsError as WeightsError,
)
from .fine_tuning import FineTuning as FineTuning
from .fine_tuning import Losses as Losses
from .head import Head as Head
from .head import Monitor as Monitor
from .head import Prediction as Prediction
from .head import Tempering as Tempering
from .images.loading import load_images as load_images
from .inference.embedding import embed as embed
from .inference.keras_model import load_model as load_model
from .inference.scoring import evaluate as evaluate
from .inference.scoring import predict as predict
from .modality import Modality as Modality
from .model import build_model as build_model
from .part import Part as Part
from .picture import Picture as Picture
from .preprocessing import Preprocessing as Preprocessing
from .preprocessing import Resize as Resize
from .registry.lookup import (
    Registry as Registry,
)
from .registry.lookup import (
    get_backbone as get_backbone,
)
from .registry.lookup import (
    get_head as get_head,
)
from .registry.lookup import get_modality as get_modality
from .run.directory import RunDirectory as RunDirectory
from .run.directory import load_run as load_run
from .sample import Findings as Findings
from .sample import InputSpec as InputSpec
from .sample import Sample as Sample
from .schedule import Phase as Phase
from .stages import freeze_to as freeze_to
from .standard_schedules import (
    from_scratch as from_scratch,
)
from .standard_schedules import (
    progressive as progressive,
)
from .standard_schedules import (
    two_phase as two_phase,
)
from .training.fit import fit as fit
from .training.options import Augmentation as Augmentation
from .training.options import Cache as Cache
from .training.options import Control as Control
from .trust.calibration import calibrate as calibrate
from .trust.gap import compare_sets as compare_sets
from .trust.gap import measure_gap as measure_gap
from .trust.heatmaps import explain as explain
from .trust.label_search import find_label_errors as find_label_errors
from .trust.watch import Watch as Watch
from .version import __version__ as __version__
