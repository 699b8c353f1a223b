"""Reads rendered manifests and says what is wrong with each, as an API server would refuse it before any of its own rules.

In, on standard input: {"versions": ["1.29", …], "rendered": {NAME: YAML, …}}
Out: {NAME: {"documents": [...], "errors": ["kind/name: ...", …]}, …}

Core kinds are held to the schema of each version, strictly; kinds of the Prometheus operator to its models, in
which a key that is not known is an error too; any other kind is one.
"""

import functools
import json
import sys

import jsonschema
import pydantic
import referencing
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator
from kubernetes_validate import utils as kubernetes


class Loader(yaml.SafeLoader):
    """As Kubernetes reads YAML, and a key that stands twice is an error."""


def mapping(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value)}


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


# The files are large, and each is read again for every document otherwise.
kubernetes.schema_contents = functools.lru_cache(maxsize=None)(kubernetes.schema_contents)


def lost(given, kept, path):
    """Keys that a model has not taken over."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key} is not known"
            else:
                yield from lost(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        for index, value in enumerate(given):
            yield from lost(value, kept[index], f"{path}[{index}]")


def of_operator(document):
    model = getattr(operator, document["kind"], None)
    if model is None:
        yield f"{document['kind']} is no kind of the Prometheus operator"
        return
    try:
        taken = model.model_validate(document)
    except pydantic.ValidationError as error:
        for one in error.errors():
            yield f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
        return
    kept = json.loads(taken.model_dump_json(by_alias=True, exclude_unset=True))
    yield from lost(document, kept, document["kind"])


def of_core(document, versions):
    for version in versions:
        try:
            kubernetes.validate(document, version, strict=True)
        except jsonschema.ValidationError as error:
            yield f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"
        except (kubernetes.SchemaNotFoundError, kubernetes.InvalidSchemaError, kubernetes.VersionNotSupportedError) as error:
            yield f"Kubernetes {version}: {error.message}"
        except referencing.exceptions.Unresolvable as error:
            yield f"Kubernetes {version}: {error}"


def judged(text, versions):
    try:
        documents = [document for document in yaml.load_all(text, Loader) if document is not None]
    except yaml.YAMLError as error:
        return {"documents": [], "errors": [f"no YAML: {error}"]}
    errors = []
    for document in documents:
        if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= document.keys():
            errors.append(f"no manifest: {document!r}")
            continue
        name = f"{document['kind']}/{document['metadata'].get('name')}"
        found = of_operator(document) if document["apiVersion"] == "monitoring.coreos.com/v1" else of_core(document, versions)
        errors += [f"{name}: {error}" for error in found]
    return {"documents": documents, "errors": errors}


given = json.load(sys.stdin)
json.dump({name: judged(text, given["versions"]) for name, text in given["rendered"].items()}, sys.stdout)
