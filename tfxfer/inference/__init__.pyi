from .embedding import embed as embed
from .keras_model import load_model as load_model
from .loading import load_predictor as load_predictor
from .predictor import Predictor as Predictor
from .scoring import evaluate as evaluate
from .scoring import load_own_test as load_own_test
from .scoring import predict as predict
