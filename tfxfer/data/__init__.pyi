from .audit import Audit as Audit, Problem as Problem
from .balance import BALANCE_MODES as BALANCE_MODES, class_weights as class_weights, oversampled_order as oversampled_order, sample_weights as sample_weights
from .images import ImageData as ImageData, ImageSplit as ImageSplit
from .loading import load_images as load_images, load_split as load_split
from .sources import Record as Record, Source as Source, read_source as read_source
from .split import split_records as split_records
