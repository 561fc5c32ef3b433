"""Reads nodes and weights of a TensorFlow.js graph model without tensorflow."""

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
    """`inputs` are names of nodes; `name:1` is the second output of a node."""

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
    """Nodes in order of evaluation. `outputs` are shapes by name."""

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]
    outputs: dict[str, tuple[int, ...]]


def load(description: bytes, weights: bytes) -> Graph:
    """Parses a model. Raises ValueError if the two files do not match."""
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
        raise ValueError(f"{len(weights)} bytes of weights, {place} bytes described")
    signature = model["signature"]["outputs"].values()
    outputs = {
        _bare(output["name"]): tuple(int(side["size"]) for side in output["tensorShape"]["dim"])
        for output in signature
    }
    return Graph(
        _topological_order(model["modelTopology"]["node"], list(outputs)), constants, outputs
    )


def _topological_order(described: list[dict[str, Any]], outputs: list[str]) -> tuple[Node, ...]:
    """The nodes that the outputs depend on, each after its inputs."""
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
