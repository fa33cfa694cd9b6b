package guardrails

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// namespaces of the corpus where there is no cluster.
var namespaces = Namespaces{Tenant: "default", Other: "kube-public"}

func corpus(t *testing.T) []Case {
	t.Helper()
	all, err := Cases(namespaces)
	require.NoError(t, err)
	return all
}

func TestNoCaseIsLostOrChangesItsVerdict(t *testing.T) {
	var list strings.Builder
	for _, c := range corpus(t) {
		fmt.Fprintf(&list, "%s: %s\n", c.ID, c.Want)
	}
	file := filepath.Join("testdata", "verdicts.txt")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(list.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), list.String())
}

func TestTheCorpusIsLargeEnough(t *testing.T) {
	all := corpus(t)
	verdicts := map[Verdict]int{}
	for _, c := range all {
		verdicts[c.Want]++
	}
	t.Logf("%d manifests: %v", len(all), verdicts)
	assert.GreaterOrEqual(t, len(all), 350)
	assert.GreaterOrEqual(t, verdicts[Admit], 100)
	assert.GreaterOrEqual(t, len(all)-verdicts[Admit], 200)
}

func TestEveryPolicyHasABadCaseOfEveryShape(t *testing.T) {
	bad := map[string]int{}
	for _, c := range corpus(t) {
		if c.Operation == Create {
			bad[c.Shape+" "+string(c.Want)]++
		}
	}
	for _, s := range shapes() {
		policies := []Verdict{Resources, PinnedImages, NonRoot, Privileges}
		if s.bare {
			policies = []Verdict{ClusterIP}
		}
		if s.labelled() {
			policies = append(policies, s.labels())
		}
		for _, policy := range append(policies, Admit, Schema) {
			assert.NotZero(t, bad[s.name+" "+string(policy)], "no case of %s gets the verdict %s", s.name, policy)
		}
	}
}

func TestIdentifiersFilesAndNamesAreUnique(t *testing.T) {
	ids, files, objects := map[string]bool{}, map[string]bool{}, map[string]string{}
	for _, c := range corpus(t) {
		assert.False(t, ids[c.ID], "%s is there twice", c.ID)
		assert.False(t, files[c.File], "%s is there twice", c.File)
		ids[c.ID], files[c.File] = true, true
		for _, d := range c.Read() {
			metadata, _ := d.Object["metadata"].(map[string]any)
			key := fmt.Sprint(d.Object["kind"], "/", metadata["name"])
			if d.Object == nil {
				continue
			}
			assert.Empty(t, objects[key], "%s: %s is in another case too", c.ID, key)
			objects[key] = c.ID
		}
	}
}

func TestNamesFitEverythingThatIsMadeOfThem(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	for _, c := range corpus(t) {
		for _, d := range c.Read() {
			if d.Object == nil || strings.HasSuffix(c.ID, "/unicode-name") {
				continue
			}
			name, _ := d.Object["metadata"].(map[string]any)["name"].(string)
			assert.Regexp(t, label, name, c.ID)
			// Knative and CronJobs append to it, within 63.
			assert.LessOrEqual(t, len(name), 52, "%s: %s is too long", c.ID, name)
		}
	}
}

func TestOnlyCutOffTextCannotBeRead(t *testing.T) {
	var unreadable []string
	for _, c := range corpus(t) {
		documents := c.Read()
		require.NotEmpty(t, documents, c.ID)
		for _, d := range documents {
			if d.Object == nil {
				unreadable = append(unreadable, c.ID)
				assert.Equal(t, Schema, c.Want, c.ID)
			}
		}
	}
	assert.Equal(t, []string{
		"deployment/duplicate-key", "deployment/indented-by-tab", "deployment/cut-off",
		"inferenceservice-model/duplicate-key", "inferenceservice-model/indented-by-tab", "inferenceservice-model/cut-off",
	}, unreadable)
}

func TestFormsOfTheSameManifestSayTheSame(t *testing.T) {
	bySays := map[string]map[string]any{}
	for _, c := range corpus(t) {
		shape, mutation, _ := strings.Cut(c.ID, "/")
		documents := c.Read()
		if len(documents) == 1 && documents[0].Object != nil && slices.Contains([]string{
			"json", "flow", "tabs", "crlf", "quoted-keys", "block-scalar", "tagged", "complex-key", "commented",
		}, mutation) {
			delete(documents[0].Object["metadata"].(map[string]any), "name")
			if first, ok := bySays[shape]; ok {
				assert.Equal(t, first, documents[0].Object, c.ID)
			} else {
				bySays[shape] = documents[0].Object
			}
		}
	}
	assert.Len(t, bySays, 2)
}

func TestTheCorpusIsAlwaysTheSame(t *testing.T) {
	first := corpus(t)
	for range 3 {
		assert.Equal(t, first, corpus(t))
	}
}

func TestEveryBadCaseDiffersFromTheGoodOne(t *testing.T) {
	good := map[string]string{}
	for _, c := range corpus(t) {
		if strings.HasSuffix(c.ID, "/good") {
			good[c.Shape] = strings.ReplaceAll(string(c.Text), "-good\n", "\n")
		}
	}
	require.Len(t, good, len(shapes()))
	for _, c := range corpus(t) {
		_, mutation, _ := strings.Cut(c.ID, "/")
		if mutation != "good" {
			assert.NotEqual(t, good[c.Shape], strings.ReplaceAll(string(c.Text), "-"+mutation+"\n", "\n"), "%s changes nothing", c.ID)
		}
	}
}
