"""The array type that every part of the engine works on."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (height, width, 3), BGR
