package guard

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"

func TestWhatCannotBeReadAsOneMeaningIsRefusedWithFileAndLine(t *testing.T) {
	for name, test := range map[string]struct{ file, text, want string }{
		"broken YAML":                         {"a/x.yaml", service + "spec:\n\t- a\n", "error read a/x.yaml:5 cannot be read as YAML: found character that cannot start any token"},
		"broken YAML in the second document":  {"a/x.yaml", service + "---\n" + "a: [\n", "error read a/x.yaml:5 cannot be read as YAML: did not find expected node content"},
		"a key twice":                         {"a/x.yaml", service + "spec:\n  a: 1\n  b: 2\n  a: 3\n", `error read a/x.yaml:7 has the key "a" twice, first in line 5: remove one`},
		"a key twice in JSON":                 {"a/x.json", `{"apiVersion":"v1","kind":"Service",` + "\n" + `"metadata":{"name":"s","name":"t"}}`, `error read a/x.json:2 has the key "name" twice, first in line 2: remove one`},
		"a merge that readers disagree about": {"a/x.yaml", service + "spec:\n  a: &a {x: 1}\n  b:\n    x: 2\n    <<: *a\n", "error read a/x.yaml:8 merges (<<) after other keys, which readers resolve in two ways: put << first"},
		"nothing":                             {"a/x.yaml", "", "error read a/x.yaml holds no object: write one, or delete the file"},
		"only comments":                       {"a/x.yaml", "# a\n---\n# b\n", "error read a/x.yaml holds no object: write one, or delete the file"},
		"text":                                {"a/x.yaml", "hello\n", "error read a/x.yaml:1 is no object: write a map with apiVersion, kind and metadata"},
		"a list of objects":                   {"a/x.yaml", "- a: 1\n", "error read a/x.yaml:1 is no object: write a map with apiVersion, kind and metadata"},
		"no kind":                             {"a/x.yaml", "apiVersion: v1\nmetadata: {name: s}\n", "error read a/x.yaml:1 kind is missing: every object needs one"},
		"an empty kind":                       {"a/x.yaml", "apiVersion: v1\nkind: ''\nmetadata: {name: s}\n", "error read a/x.yaml:1 kind is missing: every object needs one"},
		"no apiVersion":                       {"a/x.yaml", "kind: Service\nmetadata: {name: s}\n", "error read a/x.yaml:1 apiVersion is missing: every object needs one"},
		"no metadata":                         {"a/x.yaml", "apiVersion: v1\nkind: Service\n", "error read a/x.yaml:1 metadata is missing or no map: write at least metadata.name"},
		"no name":                             {"a/x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {labels: {a: b}}\n", "error read a/x.yaml:1 metadata.name is missing: every object needs one"},
		"a number for a name":                 {"a/x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: 12}\n", "error read a/x.yaml:1 metadata.name is 12, which YAML reads as no text: put it in quotes"},
		"an empty namespace":                  {"a/x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: }\n", "error read a/x.yaml:1 metadata.namespace is missing: every object needs one"},
		"a generated name":                    {"a/x.yaml", "apiVersion: v1\nkind: Service\nmetadata: {generateName: s-}\n", "error read a/x.yaml:1 metadata.generateName is s- without a metadata.name: Git needs a fixed name, or every synchronisation makes another object"},
		"an empty list":                       {"a/x.yaml", "apiVersion: v1\nkind: List\nitems: []\n", "error read a/x.yaml:1 is a list without items: write some, or delete it"},
		"a list with text in it":              {"a/x.yaml", "apiVersion: v1\nkind: List\nitems:\n- a\n", "error read a/x.yaml:4 has items[0], which is no object"},
		"a nameless item":                     {"a/x.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {}\n", "error read a/x.yaml:4 metadata.name is missing: every object needs one"},
		"items in another kind":               {"a/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nitems: [{}]\n", `error read a/x.yaml:1 has items but is of kind "ConfigMap": Argo CD would take it for a list`},
		"an object on the separator's line":   {"a/x.yaml", service + "--- {a: b}\n", `error read a/x.yaml:4 "{a: b}" follows the separator ---: write it on a line of its own`},
		"an object after an end marker":       {"a/x.yaml", service + "...\n" + service, "error read a/x.yaml:4 cannot be read as YAML: did not find expected <document start>"},
		"two objects in JSON":                 {"a/x.json", `{"a":1}` + "\n" + `{"a":2}`, "error read a/x.json:2 cannot be read as one JSON object: there is more than one object in it: a JSON file holds one, or a List"},
		"YAML in a JSON file":                 {"a/x.json", service, "error read a/x.json:1 cannot be read as one JSON object: invalid character 'a' looking for beginning of value"},
		"another encoding":                    {"a/x.yaml", "\xff\xfea\x00", "error read a/x.yaml is not UTF-8 text: save it as UTF-8"},
		"an unquoted key":                     {"a/x.yaml", service + "? [a]\n: b\n", "error read a/x.yaml:4 has a key that is no text: write a plain word"},
		"a kustomization":                     {"a/kustomization.yaml", "resources: [x]\n", "error read a/kustomization.yaml makes Argo CD build the folder with kustomize: endpoints are plain manifests, commit what `kustomize build` prints"},
		"a Helm chart":                        {"a/Chart.yaml", "name: x\n", "error read a/Chart.yaml makes Argo CD render the folder as a Helm chart: endpoints are plain manifests, commit what `helm template` prints"},
		"jsonnet":                             {"a/x.jsonnet", "{}", "error read a/x.jsonnet is a program that Argo CD would run: endpoints are plain manifests, commit what `jsonnet` prints"},
		"parameters for Argo CD":              {"a/.argocd-source-x.yaml", "directory: {recurse: true}\n", "error read a/.argocd-source-x.yaml overrides how Argo CD reads the folder: remove it"},
		"a file that Argo CD leaves out":      {"a/x.yaml", "# +argocd:skip-file-rendering\n" + service, "error read a/x.yaml has the marker +argocd:skip-file-rendering, with which Argo CD leaves the file out: remove the marker or the file"},
		"a backup":                            {"a/x.yaml.bak", "a", "note read a/x.yaml.bak is not read, here or by Argo CD: only .yaml, .yml and .json are"},
		"capitals":                            {"a/X.YAML", "a", "note read a/X.YAML is not read, here or by Argo CD: only .yaml, .yml and .json are"},
		"a layer's folder":                    {"kyverno/x.yaml", service, "error folder kyverno/x.yaml:1 is in the folder kyverno, of which no endpoint is made because the name is the platform's or another tenant's: give the folder another name"},
		"another tenant's folder":             {"team-b-iris/x.yaml", service, "error folder team-b-iris/x.yaml:1 is in the folder team-b-iris, of which no endpoint is made because the name is the platform's or another tenant's: give the folder another name"},
		"the same object again":               {"a/x.yaml", service + "---\n" + service, "error read a/x.yaml:5 is already in a/x.yaml line 1: remove one, or give it another name"},
		"the same object of another version":  {"b/x.yaml", deployment("good") + "---\n" + "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: good, namespace: default}\n", "error read b/x.yaml:20 is already in b/x.yaml line 1: remove one, or give it another name"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, map[string]string{test.file: test.text, "good/d.yaml": deployment("other")}, nil)
			assert.Contains(t, messages(r), test.want)
			assert.Equal(t, test.want[:4] == "note", r.Passed, messages(r))
		})
	}
}

func TestNothingToCheckIsAFailure(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"an empty folder":        {"empty/.keep": ""},
		"no manifest":            {"empty/README.md": "hello"},
		"manifests of no object": {"empty/x.yaml": "---\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, files, nil)
			assert.False(t, r.Passed)
			assert.Contains(t, messages(r), "error read - there is not one object to check in .: correct the path")
		})
	}
	t.Run("a path that is not there", func(t *testing.T) {
		t.Chdir(folder(t, map[string]string{"a/d.yaml": deployment("d")}))
		r := checkAt(t, Options{Paths: []string{"a", "b"}}, nil)
		assert.Equal(t, []string{"error read b cannot be read: no such file or directory"}, messages(r))
	})
	t.Run("a folder without a file", func(t *testing.T) {
		t.Chdir(folder(t, map[string]string{"a/d.yaml": deployment("d")}))
		require.NoError(t, os.Mkdir("b", 0o755))
		r := checkAt(t, Options{Paths: []string{"a", "b"}}, nil)
		assert.Equal(t, []string{"error read b holds no file: correct the path"}, messages(r))
	})
}

func TestALinkIsRefused(t *testing.T) {
	root := folder(t, map[string]string{"a/d.yaml": deployment("d"), "elsewhere.yaml": deployment("e")})
	require.NoError(t, os.Symlink("../elsewhere.yaml", filepath.Join(root, "a", "e.yaml")))
	require.NoError(t, os.Symlink("..", filepath.Join(root, "a", "folder")))
	t.Chdir(root)
	assert.Equal(t, []string{
		"error read a/e.yaml is a symbolic link: put the file itself there",
		"error read a/folder is a symbolic link: put the file itself there",
	}, messages(checkAt(t, Options{Paths: []string{"a"}}, nil)))
}

func TestEverythingThatIsThereIsRead(t *testing.T) {
	files := map[string]string{
		"apps/one/d.yml":             deployment("one"),
		"apps/two/below/that/d.yaml": deployment("two"),
		"apps/three/.hidden.yaml":    deployment("three"),
		"apps/four/s.json":           `{"apiVersion":"v1","kind":"Service","metadata":{"name":"four"}}`,
		"apps/five/list.yaml": "# a comment\n---\napiVersion: v1\nkind: List\nitems:\n- &a\n  apiVersion: v1\n  kind: Service\n  metadata: {name: five}\n" +
			"- <<: *a\n  metadata: {name: six}\n---\n" + service + "--- # the end\n",
		"apps/six/bom.yaml":  "\xef\xbb\xbf" + deployment("seven"),
		"apps/six/notes.txt": "not a manifest",
		".git/config.yaml":   "nonsense",
	}
	t.Chdir(folder(t, files))
	r := checkAt(t, Options{Paths: []string{".", "apps/one", "apps/one/d.yml"}}, nil)
	assert.Empty(t, messages(r))
	assert.True(t, r.Passed)
	assert.Equal(t, 6, r.Files)
	assert.Equal(t, []DocumentReport{
		{"apps/five/list.yaml", 6, "five", "Service default/five"},
		{"apps/five/list.yaml", 10, "five", "Service default/six"},
		{"apps/five/list.yaml", 13, "five", "Service default/s"},
		{"apps/four/s.json", 1, "four", "Service default/four"},
		{"apps/one/d.yml", 1, "one", "Deployment default/one"},
		{"apps/six/bom.yaml", 1, "six", "Deployment default/seven"},
		{"apps/three/.hidden.yaml", 1, "three", "Deployment default/three"},
		{"apps/two/below/that/d.yaml", 1, "two", "Deployment default/two"},
	}, r.Documents)
}

func TestTheEndpointIsTheFolderThatBecomesAnApplication(t *testing.T) {
	for name, test := range map[string]struct{ root, file, want string }{
		"below apps":               {"/r/apps", "/r/apps/iris/d.yaml", "iris"},
		"deeper":                   {"/r", "/r/apps/iris/below/d.yaml", "iris"},
		"the folder itself":        {"/r/apps/iris", "/r/apps/iris/d.yaml", "iris"},
		"a file":                   {"/r/apps/iris/d.yaml", "/r/apps/iris/d.yaml", "iris"},
		"no apps folder":           {"/r", "/r/iris/below/d.yaml", "iris"},
		"directly in the path":     {"/r/iris", "/r/iris/d.yaml", "iris"},
		"directly in apps":         {"/r/apps", "/r/apps/d.yaml", "apps"},
		"an endpoint named apps":   {"/r/apps", "/r/apps/apps/d.yaml", "apps"},
		"a file without apps":      {"/r/iris/d.yaml", "/r/iris/d.yaml", "iris"},
		"a checkout called apps":   {"/apps/r", "/apps/r/apps/iris/d.yaml", "iris"},
		"a relative path, as seen": {".", "iris/d.yaml", "iris"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, endpointOf(test.root, test.file))
		})
	}
}

func TestALineIsFoundByItsPath(t *testing.T) {
	text := "# first\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  base: &b\n    deep: 1\n  list:\n  - a: 1\n  - b: 2\n  other: *b\n"
	documents, problems := parse("x.yaml", []byte(text))
	require.Empty(t, problems)
	require.Len(t, documents, 1)
	for path, want := range map[string]int{
		"": 3, "spec": 6, "spec.base.deep": 8, "/spec/list/1/b": 11, "spec.list[0].a": 10,
		"spec.other.deep": 8, "spec.missing.there": 6, "nothing": 3,
	} {
		assert.Equal(t, want, documents[0].lineOf(path), path)
	}
}

func TestDocumentsBelongToTenants(t *testing.T) {
	r := check(t, map[string]string{
		"apps/a/x.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: kube-system}\n" +
			"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: c}\n" +
			"---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" +
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n",
	}, nil)
	assert.Equal(t, []string{
		"error namespace apps/a/x.yaml:1 is in the namespace kube-system, which is no tenant's: write default or leave it out",
		"error kind apps/a/x.yaml:5 is a rbac.authorization.k8s.io/ClusterRole, which endpoints may not hold: they hold ConfigMap, Service, apps/Deployment, serving.kserve.io/InferenceService",
		"error kind apps/a/x.yaml:9 is a Secret, which endpoints may not hold: they hold ConfigMap, Service, apps/Deployment, serving.kserve.io/InferenceService",
	}, messages(r))
}

func TestOneTenantsEndpointsStayInItsNamespace(t *testing.T) {
	both := *tenants
	other := config.Default().Tenants[0]
	other.Namespace = "research"
	both.tenants = append(both.tenants[:1:1], other)
	both.namespace, both.only = "research", true
	t.Chdir(folder(t, map[string]string{
		"apps/a/x.yaml": service + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n",
	}))
	e := engines{policies: rules(t), kyverno: pretendKyverno(t, nil), native: library{}, schemas: anySchema{}}
	r, err := run(context.Background(), Options{Paths: []string{"apps"}}, &both, e)
	require.NoError(t, err)
	assert.Equal(t, "Service research/s", r.Documents[0].Object)
	assert.Equal(t, []string{
		"error namespace apps/a/x.yaml:5 is in the namespace default, but these endpoints are those of tenant research: write that or leave it out",
	}, messages(r))
}
