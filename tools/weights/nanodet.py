"""Converts the detector's TensorFlow.js graph to ONNX.

Supports the 22 operations of this graph, which was itself converted from ONNX ("onnx_tf_prefix" in
its names). Any other operation stops the conversion.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tools.weights.tfjs import Graph, Node

NCHW, NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
CLASSES = 80
# Operations that are evaluated here if their inputs are constant.
FOLDED = ("SparseToDense", "Add", "AddV2", "Transpose")


def model(graph: Graph) -> onnx.ModelProto:
    """Input `x` (1, 3, 416, 416): BGR, normalised as app/embedded/vision/object_detector.py does.

    Outputs: `scores` (1, 3549, 80) and `distances` (1, 3549, 44), where each side has 11 logits of
    a distance in strides. The rows are the cells of the grids of strides 8, 16 and 32.
    """
    net = _Net(graph)
    for node in graph.nodes:
        net.node(node)
    rows = sorted(graph.outputs.items(), key=lambda output: -output[1][1])
    scores = [name for name, shape in rows if shape[2] == CLASSES]
    distances = [name for name, shape in rows if shape[2] != CLASSES]
    net.add("Concat", scores, "scores", axis=1)
    net.add("Concat", distances, "distances", axis=1)
    count = sum(shape[1] for shape in graph.outputs.values()) // 2
    described = helper.make_graph(
        net.nodes,
        "nanodet",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 416, 416])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, count, CLASSES]),
            helper.make_tensor_value_info("distances", TensorProto.FLOAT, [1, count, 44]),
        ],
        net.initializers,
    )
    return helper.make_model(described, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


class _Net:
    """The graph under construction, and its constants by name."""

    def __init__(self, graph: Graph) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._constants = dict(graph.constants)
        self._names: set[str] = set()

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def node(self, node: Node) -> None:
        """Converts a node. A constant node is evaluated instead."""
        if node.op == "Const":
            return
        if node.op == "Placeholder":
            self.add("Identity", ["x"], node.name)
            return
        values = [self._constants.get(name) for name in node.inputs]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and node.op in FOLDED:
            self._constants[node.name] = _folded(node.op, known)
            return
        convert = getattr(self, f"_{node.op.lower()}", None)
        if convert is None:
            raise NotImplementedError(node.op)
        convert(node, values)

    def _input(self, name: str) -> str:
        values = self._constants.get(name)
        return name if values is None else self._constant(name, values)

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        if name not in self._names:
            self._names.add(name)
            integers = np.issubdtype(values.dtype, np.integer)
            values = np.ascontiguousarray(values, dtype=np.int64 if integers else np.float32)
            self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def _channels_first(
        self, kind: str, node: Node, more: list[str] | None = None, **attributes: Any
    ) -> None:
        """A node whose ONNX operation expects the channels first."""
        first = self.add("Transpose", [self._input(node.inputs[0])], f"{node.name}_i", perm=NCHW)
        done = self.add(kind, [first, *(more or [])], f"{node.name}_o", **attributes)
        self.add("Transpose", [done], node.name, perm=NHWC)

    def _conv2d(self, node: Node, values: list[Any]) -> None:
        weight = self._constant(f"{node.name}_w", values[1].transpose(3, 2, 0, 1))
        strides = node.integers("strides")[1:3]
        padding = {"auto_pad": "SAME_UPPER"} if node.text("padding") == "SAME" else {}
        self._channels_first("Conv", node, [weight], strides=strides, **padding)

    def _maxpool(self, node: Node, _: list[Any]) -> None:
        size, strides = node.integers("ksize")[1:3], node.integers("strides")[1:3]
        self._channels_first("MaxPool", node, kernel_shape=size, strides=strides)

    def _resizebilinear(self, node: Node, values: list[Any]) -> None:
        if not node.flag("half_pixel_centers"):
            raise NotImplementedError("ResizeBilinear without half_pixel_centers")
        # ONNX wants the full shape: (batch, channels) of the input, then the new size.
        name = node.name
        first = self.add("Transpose", [self._input(node.inputs[0])], f"{name}_i", perm=NCHW)
        bounds = [self._constant(f"bound_{n}", np.array([n])) for n in (0, 2)]
        shape = self.add("Shape", [first], f"{name}_shape")
        front = self.add("Slice", [shape, *bounds], f"{name}_front")
        size = self._constant(node.inputs[1], values[1])
        size = self.add("Concat", [front, size], f"{name}_size", axis=0)
        done = self.add("Resize", [first, "", "", size], f"{name}_o", mode="linear")
        self.add("Transpose", [done], name, perm=NHWC)

    def _transpose(self, node: Node, values: list[Any]) -> None:
        self.add("Transpose", [self._input(node.inputs[0])], node.name, perm=values[1].tolist())

    def _pad(self, node: Node, values: list[Any]) -> None:
        pads = self._constant(f"{node.name}_p", values[1].T.ravel())
        rest = [self._input(name) for name in node.inputs[2:]]
        self.add("Pad", [self._input(node.inputs[0]), pads, *rest], node.name)

    _padv2 = _pad

    def _add(self, node: Node, _: list[Any]) -> None:
        self.add("Add", [self._input(name) for name in node.inputs], node.name)

    _addv2 = _add

    def _leakyrelu(self, node: Node, _: list[Any]) -> None:
        alpha = node.number("alpha")
        self.add("LeakyRelu", [self._input(node.inputs[0])], node.name, alpha=alpha)

    def _sigmoid(self, node: Node, _: list[Any]) -> None:
        self.add("Sigmoid", [self._input(node.inputs[0])], node.name)

    def _identity(self, node: Node, _: list[Any]) -> None:
        self.add("Identity", [self._input(node.inputs[0])], node.name)

    def _concatv2(self, node: Node, values: list[Any]) -> None:
        parts = [self._input(name) for name in node.inputs[:-1]]
        self.add("Concat", parts, node.name, axis=int(values[-1]))

    def _reshape(self, node: Node, values: list[Any]) -> None:
        shape = self._constant(f"{node.name}_s", values[1])
        self.add("Reshape", [self._input(node.inputs[0]), shape], node.name)

    def _splitv(self, node: Node, values: list[Any]) -> None:
        sizes = self._constant(f"{node.name}_s", values[1])
        outputs = [node.name, *(f"{node.name}:{n}" for n in range(1, len(values[1])))]
        inputs = [self._input(node.inputs[0]), sizes]
        self.nodes.append(helper.make_node("Split", inputs, outputs, axis=int(values[2])))


def _folded(op: str, values: list[NDArray[Any]]) -> NDArray[Any]:
    if op == "Transpose":
        return np.transpose(values[0], values[1].tolist())
    if op in ("Add", "AddV2"):
        return np.asarray(values[0] + values[1])
    places, shape, entries, default = values
    dense = np.full(shape.tolist(), default, dtype=entries.dtype)
    for row, place in enumerate(np.atleast_1d(places).reshape(-1).tolist()):
        dense[place] = np.atleast_1d(entries)[row if np.size(entries) > 1 else 0]
    return dense
