"""Puts each whole CustomResourceDefinition of the file named by $DEFINITIONS, JSON by
gzip, in the place of its outline, in the name of $MANAGER. One that $MANAGER has
applied before is left alone: that is Argo CD, and the definition is its from then on."""

import gzip
import json
import os
import sys
import urllib.error

import apiserver

MANAGER = os.environ["MANAGER"]


def ask(method, name, query="", body=None, headers=None):
    """Returns the metadata of a definition after a request."""
    path = "apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + name + query
    accept = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    with apiserver.ask(method, path, body, {**accept, **(headers or {})}) as answer:
        return json.load(answer)["metadata"]


def define(definition):
    """Applies definition if nobody else did; the server refuses it, by its version, if
    somebody does meanwhile."""
    name = definition["metadata"]["name"]
    outline = ask("GET", name)
    if any(entry["manager"] == MANAGER for entry in outline["managedFields"]):
        return "is whole"
    definition["metadata"]["resourceVersion"] = outline["resourceVersion"]
    ask("PATCH", name, "?force=true&fieldManager=" + MANAGER, definition, {"Content-Type": "application/apply-patch+yaml"})
    return "defined"


def main():
    with gzip.open(os.environ["DEFINITIONS"], "rt", encoding="utf-8") as file:
        definitions = json.load(file)
    failed = False
    for definition in definitions:
        try:
            what = define(definition)
        except urllib.error.HTTPError as error:
            what = "%d %s" % (error.code, error.read().decode(errors="replace").strip())
            failed = True
        except OSError as error:
            what, failed = str(error), True
        print("%s: %s" % (definition["metadata"]["name"], what), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
