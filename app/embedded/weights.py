"""Paths and checksums of the model weights.

rapidocr downloads a model whose file is missing or has another checksum. This engine never uses
the network: it checks each file before it imports rapidocr, and passes its path as `model_path`,
which disables the download (rapidocr's inference_engine/onnxruntime).
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

# SHA-256 as in rapidocr 3.10.0's own default_models.yaml.
PPOCR_DETECTOR_SHA256 = "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
PPOCR_RECOGNISER_SHA256 = "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"

TOTAL_BYTES = 31_163_977 + 7_623_738 + 9_303_584  # of all model files

# Source: tessdata/README.md.
TESSDATA_FOLDER = Path(__file__).with_name("tessdata")
TESSERACT_KOREAN_SHA256 = "6b85e11d9bbf07863b97b3523b1b112844c43e713df8b66418a081fd1060b3b2"

# Source: weights/README.md.
VISION_FOLDER = Path(__file__).with_name("weights")
NANODET_SHA256 = "8d538b6d5b18623b0cd74f033a8dc76c74101ef89380d273ea8cd89064201f6d"
EFFICIENTNET_SHA256 = "04c17bb7c10c92a08a66cec28dd4ebf4967fb15c066c29ab92b96477d8709b29"

# Imports beyond the standard library: module -> package.
REQUIRED_PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "numpy": "numpy",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "onnxruntime": "onnxruntime",
    "rapidocr": "rapidocr",
    "zxingcpp": "zxing-cpp",
}
INSTALL_COMMAND = "pip install -r requirements-embedded.txt"


class WeightsError(Exception):
    """A weights file is missing or has the wrong checksum. The message says what to do."""


@dataclass(frozen=True, slots=True)
class PpocrPaths:
    """Paths of the PP-OCRv6 small models: text detector and text recogniser."""

    detector: Path
    recogniser: Path


def missing_packages() -> list[str]:
    """Names of required packages that are not installed. Imports none of them."""
    return [
        package
        for module, package in REQUIRED_PACKAGES.items()
        if importlib.util.find_spec(module) is None
    ]


def ppocr_paths() -> PpocrPaths:
    """Paths of the models in the rapidocr wheel, after a checksum test.

    Raises:
        WeightsError: a file is missing or its SHA-256 differs.
    """
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise WeightsError(f"rapidocr is not installed: {INSTALL_COMMAND}")
    models = Path(spec.origin).parent / "models"
    found = PpocrPaths(models / "PP-OCRv6_det_small.onnx", models / "PP-OCRv6_rec_small.onnx")
    for path, digest in (
        (found.detector, PPOCR_DETECTOR_SHA256),
        (found.recogniser, PPOCR_RECOGNISER_SHA256),
    ):
        _verify(path, digest, f"Install rapidocr 3.10.0 again: {INSTALL_COMMAND} --force-reinstall")
    return found


def tessdata_folder(folder: Path = TESSDATA_FOLDER) -> Path:
    """Folder of Tesseract's Korean model, after a checksum test.

    Raises:
        WeightsError: the file is missing or its SHA-256 differs.
    """
    _verify(folder / "kor.traineddata", TESSERACT_KOREAN_SHA256, "Check the repository out again.")
    return folder


def vision_paths(folder: Path = VISION_FOLDER) -> tuple[Path, Path]:
    """Paths of the object detector and the image classifier, after a checksum test.

    Raises:
        WeightsError: a file is missing or its SHA-256 differs.
    """
    found = folder / "nanodet.onnx", folder / "efficientnet_lite0.onnx"
    for path, digest in zip(found, (NANODET_SHA256, EFFICIENTNET_SHA256), strict=True):
        _verify(path, digest, "Check the repository out again.")
    return found


def _verify(path: Path, digest: str, remedy: str) -> None:
    if not path.is_file():
        raise WeightsError(f"{path.name} is missing. {remedy}")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise WeightsError(f"{path.name} is damaged or of another version. {remedy}")
