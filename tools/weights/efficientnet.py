"""Builds EfficientNet-Lite0 as ONNX from its weights.

Structure: Tan and Le, EfficientNet, arXiv:1905.11946, table 1, in its Lite form (no squeeze and
excitation, ReLU6, stem and head not scaled). Padding as in TensorFlow, where it was trained: the
odd pixel is at the end.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 224  # pixels
EPSILON = 1e-3  # of batch normalization
# Repeats, kernel size, stride of the first block, output channels.
STAGES = (
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)


def model(tensors: dict[str, NDArray[Any]]) -> onnx.ModelProto:
    """Input `x`: (1, 3, 224, 224) RGB as (value - 127) / 128.

    Output `p`: (1, 1000) probabilities.
    """
    net = _Net(tensors)
    last = net.conv(net.body(net.conv("x", "_conv_stem", "_bn0", stride=2)), "_conv_head", "_bn1")
    net.add("GlobalAveragePool", [last], "pool")
    net.add("Flatten", ["pool"], "flat")
    weight, bias = (net.weight(f"fc_{n}", tensors[f"_fc.{n}"]) for n in ("weight", "bias"))
    net.add("Gemm", ["flat", weight, bias], "logits", transB=1)
    net.add("Softmax", ["logits"], "p", axis=1)
    graph = helper.make_graph(
        net.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, 1000])],
        net.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


class _Net:
    """The graph under construction. `side` is that of the current feature map, in pixels."""

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self._tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.side = SIDE
        for name, value in (("zero", 0), ("six", 6)):
            self.weight(name, np.array(value))

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, name: str, values: NDArray[Any]) -> str:
        values = np.ascontiguousarray(values.astype(np.float32))
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def body(self, x: str) -> str:
        """The seven stages of inverted residuals."""
        block, channels = 0, 32
        for repeats, _, stride, output in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                y = self._block(x, f"_blocks.{block}.", step)
                if step == 1 and channels == output:
                    y = self.add("Add", [y, x], f"sum_{block}")
                x, channels, block = y, output, block + 1
        return x

    def _block(self, x: str, name: str, stride: int) -> str:
        if f"{name}_expand_conv.weight" in self._tensors:
            x = self.conv(x, f"{name}_expand_conv", f"{name}_bn0")
        x = self.conv(x, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, depthwise=True)
        return self.conv(x, f"{name}_project_conv", f"{name}_bn2", active=False)

    def conv(
        self,
        x: str,
        name: str,
        norm: str,
        *,
        stride: int = 1,
        depthwise: bool = False,
        active: bool = True,
    ) -> str:
        """A convolution with folded batch normalization, and ReLU6 if `active`."""
        kernel, gain = self._tensors[f"{name}.weight"], self._norm(norm, "weight")
        gain = gain / np.sqrt(self._norm(norm, "running_var") + EPSILON)
        bias = self._norm(norm, "bias") - self._norm(norm, "running_mean") * gain
        size, side = kernel.shape[2], -(-self.side // stride)
        pad = max((side - 1) * stride + size - self.side, 0)
        self.side = side
        parts = [
            self.weight(f"{name}_w", kernel * gain[:, None, None, None]),
            self.weight(f"{name}_b", bias),
        ]
        output = self.add(
            "Conv",
            [x, *parts],
            f"{name}_out",
            strides=[stride] * 2,
            group=kernel.shape[0] if depthwise else 1,
            pads=[pad // 2] * 2 + [pad - pad // 2] * 2,
            kernel_shape=[size] * 2,
        )
        return self.add("Clip", [output, "zero", "six"], f"{name}_relu") if active else output

    def _norm(self, name: str, part: str) -> NDArray[Any]:
        return self._tensors[f"{name}.{part}"]
