"""Reads PyTorch's legacy file format without torch and without executing pickled code."""

import collections
import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADERS = 3  # magic number, protocol, system
TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage. Offset and strides are in values."""

    storage: str
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Allows only the three names that such a file needs."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is refused")

    def persistent_load(self, pid: tuple[Any, ...]) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return key, kind


def _tensor(
    storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> Tensor:
    return Tensor(*storage, offset, shape, strides)


def load(data: bytes) -> dict[str, NDArray[Any]]:
    """Returns the tensors of a state dict by name.

    Raises:
        pickle.UnpicklingError: the file contains anything but tensors.
    """
    file = io.BytesIO(data)
    unpickle: Callable[[], Any] = lambda: _Unpickler(file).load()  # noqa: E731
    for _ in range(HEADERS):
        unpickle()
    tensors: dict[str, Tensor] = unpickle()
    kinds = {tensor.storage: tensor.kind for tensor in tensors.values()}
    storages = {}
    for key in unpickle():
        (count,) = struct.unpack("<q", file.read(8))
        kind = np.dtype(TYPES[kinds[key]])
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return {name: _values(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _values(tensor: Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    strides = [stride * storage.itemsize for stride in tensor.strides]
    values = storage[tensor.offset :]
    return np.lib.stride_tricks.as_strided(values, tensor.shape, strides).copy()
