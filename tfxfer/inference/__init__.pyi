from .predictor import (
    READERS as READERS,
)
from .predictor import (
    Predictor as Predictor,
)
from .predictor import (
    load_model as load_model,
)
from .predictor import (
    load_predictor as load_predictor,
)
from .scoring import evaluate as evaluate
from .scoring import load_own_test as load_own_test
from .scoring import predict as predict
