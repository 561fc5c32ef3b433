"""TensorFlow.js' graph models, read without tensorflow: nodes and weights."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"float32": "<f4", "int32": "<i4", "bool": "?"}
STORED = {"float16": "<f2"}


@dataclass(frozen=True, slots=True)
class Node:
    """`inputs` are names of nodes, `name:1` for the second output of one."""

    op: str
    name: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]

    def integers(self, name: str) -> list[int]:
        return [int(value) for value in self.attributes[name]["list"]["i"]]

    def number(self, name: str) -> float:
        return float(self.attributes[name]["f"])

    def text(self, name: str) -> str:
        return base64.b64decode(self.attributes[name]["s"]).decode()

    def flag(self, name: str) -> bool:
        return bool(self.attributes.get(name, {}).get("b", False))


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of their arithmetic; `outputs` by name with their shapes."""

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]
    outputs: dict[str, tuple[int, ...]]


def load(description: bytes, weights: bytes) -> Graph:
    """Raises ValueError where the two files do not fit together."""
    model = json.loads(description)
    constants, place = {}, 0
    for group in model["weightsManifest"]:
        for weight in group["weights"]:
            stored = weight.get("quantization", {}).get("dtype")
            kind = np.dtype(STORED[stored] if stored else TYPES[weight["dtype"]])
            size = int(np.prod(weight["shape"], dtype=int)) * kind.itemsize
            values = np.frombuffer(weights[place : place + size], kind)
            place += size
            values = values.astype(TYPES[weight["dtype"]]).reshape(weight["shape"])
            constants[weight["name"]] = values
    if place != len(weights):
        raise ValueError(f"{len(weights)} bytes of weights, {place} described")
    signature = model["signature"]["outputs"].values()
    outputs = {
        _bare(output["name"]): tuple(int(side["size"]) for side in output["tensorShape"]["dim"])
        for output in signature
    }
    return Graph(_ordered(model["modelTopology"]["node"], list(outputs)), constants, outputs)


def _ordered(described: list[dict[str, Any]], outputs: list[str]) -> tuple[Node, ...]:
    """The nodes that the outputs need, each after its inputs."""
    nodes = {
        node["name"]: Node(
            node["op"], node["name"], tuple(node.get("input", ())), node.get("attr", {})
        )
        for node in described
    }
    ordered: dict[str, Node] = {}

    def visit(name: str) -> None:
        if name in ordered:
            return
        for other in nodes[name].inputs:
            visit(_bare(other))
        ordered[name] = nodes[name]

    for output in outputs:
        visit(output)
    return tuple(ordered.values())


def _bare(name: str) -> str:
    return name.split(":", maxsplit=1)[0].lstrip("^")
