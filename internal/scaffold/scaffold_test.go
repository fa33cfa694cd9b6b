package scaffold

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
)

const iris = "gs://kfserving-examples/models/sklearn/1.0/model"

func good() Endpoint {
	return Endpoint{
		Name: "my-iris", ModelFormat: "sklearn", StorageURI: iris, Owner: "data-science", CostCenter: "ml-demo",
		Size: "small", MinReplicas: 1, MaxReplicas: 2,
	}
}

func site() Site {
	return Site{
		Tenant: config.Default().Tenants[0], Stores: config.Default().Serving.ModelStores,
		Excluded: []string{"kyverno", "team-b-*"},
	}
}

var load = sync.OnceValues(func() (*Scaffold, error) { return Load(gitops.FS) })

func platform(t testing.TB) *Scaffold {
	t.Helper()
	s, err := load()
	require.NoError(t, err)
	return s
}

// manifest is an InferenceService as far as a template says something about it.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Predictor struct {
			MinReplicas int `json:"minReplicas"`
			MaxReplicas int `json:"maxReplicas"`
			Model       struct {
				ModelFormat struct {
					Name string `json:"name"`
				} `json:"modelFormat"`
				StorageURI      string         `json:"storageUri"`
				SecurityContext map[string]any `json:"securityContext"`
				Resources       Size           `json:"resources"`
			} `json:"model"`
		} `json:"predictor"`
	} `json:"spec"`
}

// requireJust demands that files are one InferenceService with what e says and
// nothing else.
func requireJust(t *testing.T, s *Scaffold, e Endpoint, files Files) {
	t.Helper()
	var found []manifest
	for name, text := range files {
		reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			var m manifest
			require.NoError(t, yaml.UnmarshalStrict(document, &m), "%s: %s", name, document)
			found = append(found, m)
		}
	}
	require.Len(t, found, 1)
	var want manifest
	want.APIVersion, want.Kind = "serving.kserve.io/v1beta1", "InferenceService"
	want.Metadata.Name = e.Name
	want.Metadata.Labels = map[string]string{"owner": e.Owner, "cost-center": e.CostCenter}
	p := &want.Spec.Predictor
	p.MinReplicas, p.MaxReplicas = e.MinReplicas, e.MaxReplicas
	p.Model.ModelFormat.Name, p.Model.StorageURI, p.Model.Resources = e.ModelFormat, e.StorageURI, s.Sizes[e.Size]
	p.Model.SecurityContext = map[string]any{"allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000.0}
	require.Equal(t, want, found[0])
}

func TestEverySizeIsAdmittedAndWithinATenantsLimits(t *testing.T) {
	s := platform(t)
	assert.Equal(t, []string{"small", "medium", "large"}, s.SizeNames())
	policies, err := policy.Load(gitops.FS)
	require.NoError(t, err)
	engine, err := policy.NewEngine(policies)
	require.NoError(t, err)
	for name, size := range s.Sizes {
		what, ok := size.outside(config.Default().Tenants[0].Limits)
		assert.True(t, ok, "%s %s", name, what)
		for _, pair := range [][2]string{{size.Requests.CPU, size.Limits.CPU}, {size.Requests.Memory, size.Limits.Memory}} {
			request, limit := quantity(pair[0]), quantity(pair[1])
			assert.Positive(t, request.Sign(), "%s asks for %q", name, pair[0])
			assert.GreaterOrEqual(t, limit.Cmp(request), 0, "%s may use less than it asks for", name)
		}
		e := good()
		e.Size = name
		files, err := s.Render(e, site())
		require.NoError(t, err)
		requireJust(t, s, e, files)
		for file, text := range files {
			var object map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(text), &object))
			verdicts, err := engine.Evaluate(t.Context(), policy.Request{
				Object: object, Namespace: "default", NamespaceLabels: map[string]string{"neuroscale.dev/tenant": "default"},
			})
			require.NoError(t, err)
			matched := 0
			for _, v := range verdicts {
				assert.NoError(t, v.Err)
				assert.True(t, v.Allowed, "%s of size %s: %s: %s", file, name, v.Policy, v.Message)
				if v.Matched {
					matched++
				}
			}
			assert.NotZero(t, matched, "no policy looked at %s", file)
		}
	}
}

func TestWhatAnEndpointCannotBeIsSaidInOneSentence(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Endpoint, *Site)
		want   string
	}{
		"a name with capitals": {func(e *Endpoint, _ *Site) { e.Name = "My-Iris" },
			`NAME "My-Iris" is no name of an endpoint: write small letters, digits and -, beginning with a letter and ending with a letter or digit`},
		"no name":                      {func(e *Endpoint, _ *Site) { e.Name = "" }, `NAME "" is no name`},
		"a name that KServe refuses":   {func(e *Endpoint, _ *Site) { e.Name = "7-iris" }, `NAME "7-iris" is no name`},
		"a name above the folder":      {func(e *Endpoint, _ *Site) { e.Name = "../iris" }, `NAME "../iris" is no name`},
		"a name with a line's end":     {func(e *Endpoint, _ *Site) { e.Name = "iris\nkind: Pod" }, `NAME "iris\nkind: Pod" is no name`},
		"a name of the platform":       {func(e *Endpoint, _ *Site) { e.Name = "kyverno" }, `NAME "kyverno" is the platform's or another tenant's: write another one`},
		"a name of another tenant":     {func(e *Endpoint, _ *Site) { e.Name = "team-b-iris" }, `NAME "team-b-iris" is the platform's or another tenant's`},
		"a name too long for Knative":  {func(e *Endpoint, _ *Site) { e.Name = strings.Repeat("a", 37) }, `has 37 characters: write at most 36, so that NAME-predictor-00001-deployment, which Knative makes of it, has no more than 63`},
		"a format nobody serves":       {func(e *Endpoint, _ *Site) { e.ModelFormat = "sklern" }, `--model-format "sklern" is unknown (did you mean "sklearn"?): write sklearn`},
		"a size that is none":          {func(e *Endpoint, _ *Site) { e.Size = "larg" }, `--size "larg" is unknown (did you mean "large"?): write small or medium or large`},
		"an owner that is YAML":        {func(e *Endpoint, _ *Site) { e.Owner = "a: {b}" }, `--owner "a: {b}" is no label: write letters, digits, -, _ and ., at most 63, beginning and ending with a letter or digit`},
		"no owner":                     {func(e *Endpoint, _ *Site) { e.Owner = "" }, `--owner "" is no label`},
		"a budget in another alphabet": {func(e *Endpoint, _ *Site) { e.CostCenter = "бюджет" }, `--cost-center "бюджет" is no label`},
		"no URI":                       {func(e *Endpoint, _ *Site) { e.StorageURI = "" }, `--storage-uri "" is missing: write where the model is, such as gs://my-bucket/models/iris`},
		"a claim":                      {func(e *Endpoint, _ *Site) { e.StorageURI = "pvc://claim/iris" }, `--storage-uri "pvc://claim/iris" cannot be fetched: write gs://, s3://, hf://, https:// and where the model is, such as gs://my-bucket/models/iris`},
		"HTTP without TLS":             {func(e *Endpoint, _ *Site) { e.StorageURI = "http://example.org/iris" }, `"http://example.org/iris" cannot be fetched`},
		"a path on the node":           {func(e *Endpoint, _ *Site) { e.StorageURI = "file:///etc/shadow" }, `cannot be fetched`},
		"a URI with a quote":           {func(e *Endpoint, _ *Site) { e.StorageURI = `gs://b/"m` }, `has characters that a URI of a model cannot have: write letters, digits and . _ ~ % + = , @ : / - only, and %20 for a space`},
		"a URI with a line's end":      {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/m\nkind: Pod" }, `--storage-uri "gs://b/m\nkind: Pod" has characters`},
		"a URI in another alphabet":    {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/модель" }, `has characters`},
		"a variable of the container":  {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/$(HOME)" }, `has characters`},
		"a URI that goes up":           {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/a/../../c" }, `goes up or nowhere with a . or ..: write the path itself`},
		"a URI that hides it":          {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/a/%2e%2E/c" }, `goes up or nowhere`},
		"a URI that is none":           {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/%zz" }, `is no URI`},
		"no bucket":                    {func(e *Endpoint, _ *Site) { e.StorageURI = "gs:///models" }, `does not say what to fetch: write gs://, a bucket or host, / and a path`},
		"no path":                      {func(e *Endpoint, _ *Site) { e.StorageURI = "https://example.org/" }, `does not say what to fetch`},
		"a URI as long as a book":      {func(e *Endpoint, _ *Site) { e.StorageURI = "gs://b/" + strings.Repeat("a", 1100) }, `has 1107 characters: write at most 1024`},
		"a bucket with a port":         {func(e *Endpoint, _ *Site) { e.StorageURI = "s3://b:80/a" }, `has a port: write the name of the bucket alone`},
		"a port that is closed": {func(e *Endpoint, _ *Site) { e.StorageURI = "https://example.org:8443/iris" },
			`is at port 8443, where the network lets no pod of tenant default: write a URI at port 443, or have the port added to neuroscale:serving.modelStores`},
		"no store at all":        {func(_ *Endpoint, s *Site) { s.Stores = nil }, `cannot be reached, pods of this tenant reach no store`},
		"fewer than none":        {func(e *Endpoint, _ *Site) { e.MinReplicas = -1 }, `--min-replicas -1 is less than nothing: write a number, 0 to run nothing until somebody asks`},
		"fewer most than fewest": {func(e *Endpoint, _ *Site) { e.MinReplicas = 3 }, `--max-replicas 2 is too few: write at least 3`},
		"a most of none":         {func(e *Endpoint, _ *Site) { e.MinReplicas, e.MaxReplicas = 0, 0 }, `--max-replicas 0 is too few: write at least 1`},
		"more than the quota":    {func(e *Endpoint, _ *Site) { e.MaxReplicas = 21 }, `--max-replicas 21 is too many: write at most 20, the pods that tenant default may have`},
		"a size above the limits": {func(e *Endpoint, s *Site) { e.Size, s.Tenant.Limits.Max.Memory = "large", "2Gi" },
			`--size "large" may use 4Gi of memory, more than the 2Gi that are allowed for a container of tenant default: write small or medium, or have neuroscale:tenants[].limits changed`},
		"a size below the limits": {func(_ *Endpoint, s *Site) { s.Tenant.Limits.Min.CPU = "100m" }, `--size "small" asks for 50m of CPU, less than the 100m that are allowed`},
	} {
		t.Run(name, func(t *testing.T) {
			e, at := good(), site()
			test.change(&e, &at)
			files, err := platform(t).Render(e, at)
			require.ErrorContains(t, err, test.want)
			assert.Empty(t, files)
			assert.NotContains(t, err.Error(), "\n", "one sentence")
		})
	}
}

func TestASecretInAURIIsRefusedAndNotPrinted(t *testing.T) {
	for _, uri := range []string{
		"https://user:hunter2@example.org/iris", "https://hunter2@example.org/iris", "s3://key:hunter2@bucket/iris",
		"https://example.org/iris?signature=hunter2", "https://example.org/iris#hunter2", "https://u:hunter2@example.org/\"", "hunter://u:hunter2@b/c",
	} {
		e := good()
		e.StorageURI = uri
		_, err := platform(t).Render(e, site())
		require.ErrorContains(t, err, "--storage-uri", uri)
		assert.NotContains(t, err.Error(), "hunter2", uri)
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := platform(t).Render(Endpoint{}, site())
	for _, flag := range []string{"NAME", "--model-format", "--storage-uri", "--owner", "--cost-center", "--size", "--max-replicas"} {
		assert.ErrorContains(t, err, flag)
	}
}

func TestWhatIsOddButRightArrivesAsItIs(t *testing.T) {
	for name, change := range map[string]func(*Endpoint){
		"the longest name":               func(e *Endpoint) { e.Name = strings.Repeat("a", LongestName) },
		"labels that YAML thinks are no": func(e *Endpoint) { e.Owner, e.CostCenter = "no", "1e3" },
		"labels that are numbers":        func(e *Endpoint) { e.Owner, e.CostCenter = "0x1F", "12_000" },
		"nothing until somebody asks":    func(e *Endpoint) { e.MinReplicas = 0 },
		"a whole bucket":                 func(e *Endpoint) { e.StorageURI = "gs://bucket" },
		"a revision of a model":          func(e *Endpoint) { e.StorageURI = "hf://org/model:1e8c25b1" },
		"a file with a space":            func(e *Endpoint) { e.StorageURI = "https://example.org/a%20b/model.joblib" },
		"a port that is said":            func(e *Endpoint) { e.StorageURI = "https://example.org:443/model.joblib" },
		"what looks like a comment":      func(e *Endpoint) { e.StorageURI = "s3://b/a,b=~c@d+e:f" },
	} {
		t.Run(name, func(t *testing.T) {
			e := good()
			change(&e)
			files, err := platform(t).Render(e, site())
			require.NoError(t, err)
			requireJust(t, platform(t), e, files)
		})
	}
}

// Whatever is asked for is one InferenceService that says so, or refused.
func FuzzRender(f *testing.F) {
	e := good()
	f.Add(e.Name, e.ModelFormat, e.StorageURI, e.Owner, e.CostCenter, e.Size, e.MinReplicas, e.MaxReplicas)
	f.Add("a\n---\nkind: Pod", "sklearn", "gs://b/\"\n  runtime: x", "a: b", "${{ values.name | dump }}", "small", -1, 1<<30)
	f.Add("a", "sklearn", "gs://b/%2e%2e/\u2028", "true", "null", "large", 0, 1)
	f.Fuzz(func(t *testing.T, name, format, uri, owner, costCenter, size string, least, most int) {
		e := Endpoint{
			Name: name, ModelFormat: format, StorageURI: uri, Owner: owner, CostCenter: costCenter,
			Size: size, MinReplicas: least, MaxReplicas: most,
		}
		s := platform(t)
		files, err := s.Render(e, site())
		if err != nil {
			require.Empty(t, files)
			return
		}
		requireJust(t, s, e, files)
	})
}

// Escaping holds without the checks: a portal's form has others.
func FuzzFill(f *testing.F) {
	f.Add("a\n---\nkind: Pod")
	f.Add("\"'\\ # : {{ }} ${{ values.owner | dump }} \u2028\u0085\u007f\x00")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?") // JSON has no other
		s := platform(t)
		e := Endpoint{Name: text, ModelFormat: text, StorageURI: text, Owner: text, CostCenter: text, Size: "small", MaxReplicas: 1}
		files, err := s.render(e)
		require.NoError(t, err)
		for _, text := range files {
			if strings.ContainsFunc(text, func(r rune) bool {
				return r == '\u007f' || r >= '\u0080' && r <= '\u009f' || r == '\ufeff' || r == '\ufffe' || r == '\uffff'
			}) {
				return // YAML takes none of these, so the file would be refused
			}
		}
		requireJust(t, s, e, files)
	})
}

func TestATemplateHasPlaceholdersThatBothRenderersUnderstand(t *testing.T) {
	values := map[string]any{"name": `a"b`, "count": 3}
	for template, want := range map[string]string{
		"x: ${{ values.name | dump }}, ${{ values.count | dump }}\n": "x: \"a\\\"b\", 3\n",
		"x: {a: 1} # $5\n": "x: {a: 1} # $5\n",
	} {
		got, err := fill(template, values)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for template, want := range map[string]string{
		"a: b\nx: ${{ values.name }}\n":      `it has "${{" at "x: ${{ values.name }}": a placeholder is written ${{ values.NAME | dump }}`,
		"{% if values.name %}a{% endif %}":   `it has "{%"`,
		"{# said to nobody #}":               `it has "{#"`,
		"x: {a: {b: 1}}":                     `it has "}}"`,
		"x: ${{ values.nam | dump }}":        "it has ${{ values.nam | dump }}, but there is no value nam",
		"x: ${{ parameters.name | dump }}\n": `it has "${{"`,
	} {
		_, err := fill(template, values)
		assert.ErrorContains(t, err, want)
	}
}

func TestEveryValueIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, template := range platform(t).templates {
		for _, found := range placeholder.FindAllStringSubmatch(template, -1) {
			used[found[1]] = true
		}
	}
	assert.Len(t, used, 11, "a flag changes nothing")
}

func TestWhatIsFetchedIsWhatTheStorageInitializerTakes(t *testing.T) {
	raw, err := fs.ReadFile(gitops.FS, "platform/kserve-runtimes/storage-container.yaml")
	require.NoError(t, err)
	var container struct {
		Spec struct {
			SupportedURIFormats []struct{ Prefix, Regex string } `json:"supportedUriFormats"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal(raw, &container))
	for _, scheme := range schemes {
		uri, taken := scheme+"://where/what", false
		for _, format := range container.Spec.SupportedURIFormats {
			taken = taken || format.Prefix != "" && strings.HasPrefix(uri, format.Prefix) ||
				format.Regex != "" && regexp.MustCompile(format.Regex).MatchString(uri)
		}
		assert.True(t, taken, "no container downloads %s", uri)
	}
}

func TestAGitOpsFolderThatCannotBeUsedIsNamed(t *testing.T) {
	files := func() fstest.MapFS {
		return fstest.MapFS{
			"templates/sizes.yaml":            {Data: []byte("small: {requests: {cpu: 1m, memory: 1Mi}, limits: {cpu: 1m, memory: 1Mi}}")},
			"templates/endpoint/a.yaml":       {Data: []byte("a: b\n")},
			"platform/kserve-runtimes/a.yaml": {Data: []byte("kind: ClusterServingRuntime\nspec: {supportedModelFormats: [{name: onnx, autoSelect: true}, {name: old}]}")},
			"platform/kserve-runtimes/b.yaml": {Data: []byte("kind: ServingRuntime\nspec: {supportedModelFormats: [{name: x, autoSelect: true}]}")},
		}
	}
	s, err := Load(files())
	require.NoError(t, err)
	assert.Equal(t, []string{"onnx"}, s.Formats)
	for want, change := range map[string]func(fstest.MapFS){
		"read the sizes of endpoints":     func(f fstest.MapFS) { delete(f, "templates/sizes.yaml") },
		"gitops/templates/sizes.yaml: ":   func(f fstest.MapFS) { f["templates/sizes.yaml"].Data = []byte("small: {request: {}}") },
		"read the templates":              func(f fstest.MapFS) { delete(f, "templates/endpoint/a.yaml") },
		"platform/kserve-runtimes/a.yaml": func(f fstest.MapFS) { f["platform/kserve-runtimes/a.yaml"].Data = []byte("\t") },
	} {
		f := files()
		change(f)
		_, err := Load(f)
		assert.ErrorContains(t, err, want)
	}
}

func TestAFolderThatIsThereIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	files := Files{"inference-service.yaml": "a: b\n"}
	at, err := files.Write(dir, "my-iris")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "apps", "my-iris"), at)
	file := filepath.Join(at, "inference-service.yaml")
	require.NoError(t, os.WriteFile(file, []byte("mine\n"), 0o644))
	_, err = files.Write(dir, "my-iris")
	require.EqualError(t, err, at+" is there already: write another NAME, or change what is in it")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "mine\n", string(text))

	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "apps", "link")))
	_, err = files.Write(dir, "link")
	require.ErrorContains(t, err, "is there already")
	_, err = files.Write(filepath.Join(dir, "nowhere"), "my-iris")
	require.EqualError(t, err, fmt.Sprintf("there is no folder %s: name a checkout of the tenant's repository", filepath.Join(dir, "nowhere")))
}
