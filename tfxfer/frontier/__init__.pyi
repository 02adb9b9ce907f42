from .cut import cache_bytes as cache_bytes
from .cut import make_suffix as make_suffix
from .cut import stage_shape as stage_shape
from .fill import Conversion as Conversion
from .fill import fill_frontiers as fill_frontiers
from .store import CacheStore as CacheStore
