"""Kubernetes' own schemas and KEDA's; runs in an environment that has them.

    {"versions": [VERSION, ...], "documents": [OBJECT, ...]}   on stdin
    a list of complaints for each document                     on stdout

Kubernetes: the JSON schemas of its API, strict, so that unknown fields are refused (the package
kubernetes-validate). KEDA: the models made of its CustomResourceDefinitions (the package
cloudcoil-models-keda), which drop what they do not know: what is lost on the way is unknown.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from pydantic import ValidationError


def complaints(document: dict[str, Any], versions: list[str]) -> Iterator[str]:
    if document.get("kind") == "ScaledObject":
        try:
            model = ScaledObject.model_validate(document)
        except ValidationError as error:
            yield from (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            return
        kept = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
        yield from lost(document, kept, "")
        return
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{version}: there is no {document['kind']} in {document['apiVersion']}"


def lost(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{path}.{key}: unknown field"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    told = [list(complaints(one, asked["versions"])) for one in asked["documents"]]
    json.dump(told, sys.stdout)
