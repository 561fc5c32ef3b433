"""ONNX models on the CPU."""

from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Opens a model on the CPU. The session keeps no memory arena between calls."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
