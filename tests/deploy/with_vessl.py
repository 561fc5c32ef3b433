"""Checks of VESSL's YAMLs and commands by VESSL's own package; runs in an environment that has it.

    {"runs": [YAML, ...], "services": [YAML, ...], "commands": [[WORD, ...], ...]}  on stdin
    the same with a list of complaints for each, empty where there are none, on stdout

The whole grammar is on VESSL's server. The package has the forms that the server takes, with their
enumerations, ranges and required fields, and the commands themselves; nothing here uses a network.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import click
import yaml
from vessl.cli._main import cli
from vessl.openapi_client import models
from vessl.openapi_client.configuration import Configuration

# `import vessl` switches the forms' own checks off (vessl/util/api.py).
STRICT = Configuration()
STRICT.client_side_validation = True

# The shorthands of VESSL's YAML reference ("cheat sheet"), by section. volume:// and git:// are
# made long, so that their forms check them.
SHORTHANDS = {
    "import": r"(git|hf|s3|gs|vessl-dataset|vessl-model|vessl-artifact|volume)://\S+",
    "mount": r"(vessl-dataset|hostpath|nfs|volume)://\S+",
    "export": r"(vessl-artifact|vessl-model|vessl-dataset|s3|gs|volume)://\S*",
}
SERVICE_ONLY = ("name", "message", "service")


def run_complaints(text: str) -> Iterator[str]:
    """Of the YAML of `vessl run create -f`."""
    spec, wrong = _loaded(text)
    yield from wrong
    yield from _form(models.V1RunSpecFormBodyInput, spec, "$")


def service_complaints(text: str) -> Iterator[str]:
    """Of the YAML of `vessl service create -f`."""
    spec, wrong = _loaded(text)
    yield from wrong
    if not isinstance(service := spec.get("service"), dict):
        yield "service: required, a map"
        return
    worker = {key: value for key, value in spec.items() if key not in SERVICE_ONLY}
    yield from _form(models.V1ServeRevisionWorkerForm, worker, "$")
    yield from _form(models.V1ServeRevisionServiceForm, service, "service")
    ports = [str(port["port"]) for port in worker.get("ports", []) if isinstance(port, dict)]
    if str(service.get("expose")) not in ports:
        yield f"service.expose: {service.get('expose')} is none of ports"
    scaling = service.get("autoscaling") or {}
    least, most = scaling.get("min", 1), scaling.get("max", 1)
    if isinstance(least, int) and isinstance(most, int) and least > most:
        yield "service.autoscaling: min is above max"


def command_complaints(words: list[str]) -> Iterator[str]:
    """Of a `vessl` command line: parsed by the command itself, and not run."""
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group) and rest:
        if (found := command.commands.get(rest[0])) is None:
            yield f"{rest[0]}: no such command"
            return
        command, rest = found, rest[1:]
    context = click.Context(command)
    try:
        given, left, _ = command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        yield error.format_message()
        return
    for parameter in command.params:
        # what click holds for "nothing" has changed with its versions
        value = given.get(str(parameter.name)), parameter.get_default(context)
        if parameter.required and not any(isinstance(one, (str, tuple)) for one in value):
            yield f"{parameter.human_readable_name}: required"
    if left:
        yield f"unexpected: {' '.join(left)}"


def _loaded(text: str) -> tuple[dict[str, Any], list[str]]:
    """The document with its shorthands made long, and what is wrong with those."""
    try:
        spec = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return {}, [f"no YAML: {error}"]
    wrong = [f"{key}: required" for key in ("image", "resources") if key not in spec]
    if not (spec.get("resources") or {}).get("cluster"):
        wrong.append("resources.cluster: required by the commands")
    if isinstance(spec.get("image"), str):
        spec["image"] = {"url": spec["image"]}
    if isinstance(run := spec.get("run"), str):
        run = [run]
    if isinstance(run, list):
        spec["run"] = [{"command": one} if isinstance(one, str) else one for one in run]
    if isinstance(ports := spec.get("ports"), list):
        spec["ports"] = [
            {"port": one, "type": "http"} if isinstance(one, int) else one for one in ports
        ]
    if isinstance(environment := spec.get("env"), dict):
        spec["env"] = {name: _variable(value) for name, value in environment.items()}
    for section in SHORTHANDS.keys() & spec.keys():
        if isinstance(spec[section], dict):
            spec[section] = {
                path: _reference(section, path, one, wrong) for path, one in spec[section].items()
            }
    return spec, wrong


def _variable(value: Any) -> Any:
    if not isinstance(value, dict):
        return {"source": "text", "value": value}
    return {"source": "secret" if "secret" in value else "text", **value}


def _reference(section: str, path: Any, reference: Any, wrong: list[str]) -> Any:
    """What is imported to, mounted at or exported from a path, in the long form."""
    if not str(path).startswith("/"):
        wrong.append(f"{section}.{path}: not an absolute path")
    if not isinstance(reference, str):
        return reference
    if not re.fullmatch(SHORTHANDS[section], reference):
        wrong.append(f"{section}.{path}: {reference} is no {section}")
        return {}
    scheme, _, rest = reference.partition("://")
    if scheme == "git":
        return {"git": {"url": f"https://{rest}"}}
    if scheme == "volume":
        storage, _, volume = rest.partition("/")
        if section == "mount" and storage == "vessl-storage":
            wrong.append(f"{section}.{path}: vessl-storage can only be imported (400)")
        if not volume:
            wrong.append(f"{section}.{path}: names no volume")
        return {"volume": {"storage_name": storage, "volume_name": volume}}
    return {}


def _form(form: Any, data: Any, path: str) -> Iterator[str]:
    """What the form and those inside it say; a field it does not know is a complaint, too."""
    if not isinstance(data, dict):
        yield f"{path}: {data!r} is not a map"
        return
    attributes = {key: name for name, key in form.attribute_map.items()}
    for key in data.keys() - attributes.keys():
        yield f"{path}.{key}: unknown field (known: {', '.join(sorted(attributes))})"
    known = {attributes[key]: value for key, value in data.items() if key in attributes}
    for name, value in known.items():
        yield from _value(form.openapi_types[name], value, f"{path}.{form.attribute_map[name]}")
    try:
        form(**known, local_vars_configuration=STRICT)
    except (ValueError, TypeError) as error:
        yield f"{path}: {error}"


def _value(kind: str, value: Any, path: str) -> Iterator[str]:
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is not a list"
            return
        for number, one in enumerate(value):
            yield from _value(inner[1], one, f"{path}[{number}]")
    elif inner := re.fullmatch(r"dict\[str, (.+)\]", kind):
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is not a map"
            return
        for key, one in value.items():
            yield from _value(inner[1], one, f"{path}.{key}")
    elif kind == "str":
        if value is None or isinstance(value, (dict, list)):
            yield f"{path}: {value!r} is not text"
    elif kind in ("int", "bool"):
        if type(value).__name__ != kind:
            yield f"{path}: {value!r} is not {kind}"
    elif kind != "object":
        yield from _form(getattr(models, kind), value, path)


def main() -> None:
    asked = json.load(sys.stdin)
    checks = {
        "runs": run_complaints,
        "services": service_complaints,
        "commands": command_complaints,
    }
    told = {kind: [list(checks[kind](one)) for one in ones] for kind, ones in asked.items()}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
