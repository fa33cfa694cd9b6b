"""Puts each whole CustomResourceDefinition of the file named by $DEFINITIONS, JSON by
gzip, in the place of its outline, in the name of $MANAGER. One that $MANAGER has
applied before is left alone: that is Argo CD, and the definition is its from then on."""

import gzip
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

ACCOUNT = os.environ["ACCOUNT"]
MANAGER = os.environ["MANAGER"]
HOST = os.environ["KUBERNETES_SERVICE_HOST"]
DEFINITIONS = "https://%s:%s/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" % (
    "[%s]" % HOST if ":" in HOST else HOST,
    os.environ["KUBERNETES_SERVICE_PORT"],
)


def read(name):
    with open(os.path.join(ACCOUNT, name), encoding="utf-8") as file:
        return file.read().strip()


def ask(context, method, name, query="", body=None, **headers):
    """Returns the metadata of a definition after a request."""
    request = urllib.request.Request(
        DEFINITIONS + name + query,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            "Authorization": "Bearer " + read("token"),
            **headers,
        },
        method=method,
    )
    with urllib.request.urlopen(request, context=context, timeout=15) as answer:
        return json.load(answer)["metadata"]


def define(context, definition):
    """Applies definition if nobody else did; the server refuses it, by its version, if
    somebody does meanwhile."""
    name = definition["metadata"]["name"]
    outline = ask(context, "GET", name)
    if any(entry["manager"] == MANAGER for entry in outline["managedFields"]):
        return "is whole"
    definition["metadata"]["resourceVersion"] = outline["resourceVersion"]
    query = "?force=true&fieldManager=" + MANAGER
    ask(context, "PATCH", name, query, definition, **{"Content-Type": "application/apply-patch+yaml"})
    return "defined"


def main():
    with gzip.open(os.environ["DEFINITIONS"], "rt", encoding="utf-8") as file:
        definitions = json.load(file)
    context = ssl.create_default_context(cafile=os.path.join(ACCOUNT, "ca.crt"))
    failed = False
    for definition in definitions:
        try:
            what = define(context, definition)
        except urllib.error.HTTPError as error:
            what = "%d %s" % (error.code, error.read().decode(errors="replace").strip())
            failed = True
        except OSError as error:
            what, failed = str(error), True
        print("%s: %s" % (definition["metadata"]["name"], what), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
