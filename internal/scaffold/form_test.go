package scaffold

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

var update = flag.Bool("update", false, "write the golden file that the portal's test reads")

// asked is an endpoint as the portal's form gives it, and what Render makes of it.
type asked struct {
	Tenant      string `json:"tenant"`
	Name        string `json:"name"`
	ModelFormat string `json:"modelFormat"`
	StorageURI  string `json:"storageUri"`
	Size        string `json:"size"`
	MinReplicas int    `json:"minReplicas"`
	MaxReplicas int    `json:"maxReplicas"`
	// Problems is how many things about it are refused; Files are none then.
	Problems int   `json:"problems"`
	Files    Files `json:"files,omitempty"`
}

// boundTenant is a tenant as the portal knows it.
type boundTenant struct {
	Namespace  string `json:"namespace"`
	Owner      string `json:"owner"`
	CostCenter string `json:"costCenter"`
	Bounds
}

type golden struct {
	Rules     Rules             `json:"rules"`
	Sizes     map[string]Size   `json:"sizes"`
	Templates map[string]string `json:"templates"`
	Tenants   []boundTenant     `json:"tenants"`
	Endpoints []asked           `json:"endpoints"`
}

const goldenFile = "../../portal/packages/backend/src/scaffolder/testdata/endpoints.json"

// What people write, rightly and wrongly.
var (
	names = []string{
		"iris", "a", "my-iris-2", strings.Repeat("a", LongestName), strings.Repeat("a", LongestName+1), strings.Repeat("x", 64),
		"", "-a", "a-", "A", "1a", "a.b", "a_b", "a b", "ä", "名前", "../a", "a/b", "a\nb", "a: b", `"a"`, "a'", "${{ values.owner }}", "{{x}}", "\u2028", "knative", "team-b-x", "a\x00b", "%61",
	}
	uris = []string{
		"gs://kfserving-examples/models/sklearn/1.0/model", "s3://models/iris", "hf://org/model", "https://models.example.org/iris.tar.gz",
		"https://models.example.org:443/x", "https://models.example.org:8443/x", "https://models.example.org:9999/x", "https://h:/x", "https://h:x/y", "gs://bucket:80/x",
		"", "gs://", "gs:///x", "gs://bucket", "https://host", "https://host/", "hf://org", "ftp://a/b", "pvc://claim/x", "http://a/b", "GS://a/b", "gs:/a/b", "a", "://",
		"https://user:pass@host/x", "https://user@host/x", "s3://a/b?versionId=1", "s3://a/b#c", "s3://a/../b", "s3://a/./b", "s3://a/%2e%2e/b", "s3://a/b%", "s3://a/%zz", "s3://a/%20b", "https://h%41/x",
		"s3://a/b c", "s3://a/b\nc", `s3://a/"b`, "s3://a/$(HOME)", "s3://a/ä", "s3://a/b;c", "s3://a/" + strings.Repeat("b", longestURI), "https://a:1:2/x", "https://[::1]/x", "https://h/a//b", "https://h//", "https://h:0443/x", "https://h:99999999999999999999/x",
	}
	someSizes   = []string{"small", "medium", "large", "huge", ""}
	someFormats = []string{"sklearn", "sklearn", "sklearn", "onnx", ""}
	replicas    = []int{-1, 0, 1, 2, 3, 20, 21, 1000}
)

func TestThePortalRefusesAndRendersWhatTheCommandDoes(t *testing.T) {
	s := platform(t)
	first := config.Default().Tenants[0]
	small := first
	small.Namespace, small.Owner, small.CostCenter = "team-b", "team-b", "cc_1.2"
	small.Limits.Max.Memory, small.Quota.Pods = "2Gi", 3
	small.Egress = []config.Egress{{CIDR: "10.1.2.3/32", Ports: []int{8443}}}
	stores := []config.Egress{{CIDR: "0.0.0.0/0", Ports: []int{443}}}
	sites := []Site{
		{Tenant: first, Stores: stores, Excluded: []string{"knative", "team-b-*"}},
		{Tenant: small, Stores: stores},
	}
	g := golden{Rules: s.Rules(), Sizes: s.Sizes, Templates: s.Templates()}
	for _, site := range sites {
		tenant := site.Tenant
		g.Tenants = append(g.Tenants, boundTenant{tenant.Namespace, tenant.Owner, tenant.CostCenter, s.Bounds(site)})
	}
	// The same numbers every time.
	random := rand.New(rand.NewPCG(1, 2))
	good := 0
	for i := range 400 {
		site := sites[random.IntN(len(sites))]
		a := asked{
			Tenant: site.Tenant.Namespace, Name: pick(random, names), ModelFormat: pick(random, someFormats), StorageURI: pick(random, uris),
			Size: pick(random, someSizes), MinReplicas: pick(random, replicas), MaxReplicas: pick(random, replicas),
		}
		// More than half are as they should be, some but for one thing.
		if i%8 != 0 {
			a.ModelFormat, a.Size, a.MinReplicas, a.MaxReplicas = "sklearn", "small", random.IntN(2), 1+random.IntN(3)
			if i%8 != 1 {
				a.Name = randomName(random)
			}
			if i%8 != 2 {
				a.StorageURI = randomURI(random)
			}
		}
		files, err := s.Render(Endpoint{
			Name: a.Name, ModelFormat: a.ModelFormat, StorageURI: a.StorageURI, Owner: site.Tenant.Owner, CostCenter: site.Tenant.CostCenter,
			Size: a.Size, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
		}, site)
		if err != nil {
			a.Problems = len(strings.Split(err.Error(), "\n"))
		} else {
			a.Files = files
			good++
		}
		g.Endpoints = append(g.Endpoints, a)
	}
	assert.GreaterOrEqual(t, good, 200, "too few are rendered at all")
	text, err := json.MarshalIndent(g, "", " ")
	require.NoError(t, err)
	text = append(text, '\n')
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(goldenFile), 0o755))
		require.NoError(t, os.WriteFile(goldenFile, text, 0o644))
	}
	there, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(there), "the portal is tested with something else: go test ./internal/scaffold -update")
}

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

func randomText(random *rand.Rand, alphabet string, longest int) string {
	text := make([]byte, 1+random.IntN(longest))
	for i := range text {
		text[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(text)
}

func randomName(random *rand.Rand) string {
	return randomText(random, "abcxyz", 1) + randomText(random, "abc-019", LongestName-3) + randomText(random, "abc09", 1)
}

func randomURI(random *rand.Rand) string {
	return pick(random, schemes) + "://" + randomText(random, "abc-.09", 20) + "x/" + randomText(random, "abcXYZ019._~+=,@:/-", 40) + "x"
}
