package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/kube/kubetest"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestTheClusterIsTheOneThatKubectlWouldTake(t *testing.T) {
	lab := kubetest.File(t, kubetest.Kubeconfig)
	none := kubetest.File(t, strings.Replace(kubetest.Kubeconfig, "current-context: lab", "", 1))
	own := kubetest.File(t, strings.NewReplacer("lab", "own", "10.0.0.7", "10.0.0.8").Replace(kubetest.Kubeconfig))
	home := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(home, ".kube"), 0o700))
	require.NoError(t, os.Rename(kubetest.File(t, strings.ReplaceAll(kubetest.Kubeconfig, "10.0.0.7", "10.0.0.9")), filepath.Join(home, ".kube", "config")))
	missing := filepath.Join(home, "missing")
	for name, test := range map[string]struct {
		source Source
		list   []string // in $KUBECONFIG
		host   string
	}{
		"the second file has the current context": {Source{}, []string{none, own}, "10.0.0.8"},
		"both have one: the first counts":         {Source{}, []string{lab, own}, "10.0.0.7"},
		"a file that is not there is passed over": {Source{}, []string{missing, own}, "10.0.0.8"},
		"the context is of the other file":        {Source{Context: "own"}, []string{lab, own}, "10.0.0.8"},
		"a file that was named":                   {Source{Path: own}, []string{lab}, "10.0.0.8"},
		"its context":                             {Source{Path: own, Context: "other"}, []string{lab}, "other.example"},
		"the home folder's":                       {Source{}, nil, "10.0.0.9"},
		"the stack's, whatever is set":            {Source{Text: kubetest.Kubeconfig, Owner: "in the outputs", Path: own}, []string{own}, "10.0.0.7"},
	} {
		t.Run(name, func(t *testing.T) {
			test.source.Getenv = environment(map[string]string{
				"HOME": home, "KUBECONFIG": strings.Join(test.list, string(filepath.ListSeparator)),
			})
			k, err := Load(test.source)
			require.NoError(t, err)
			assert.Equal(t, test.host, k.Host)
			config, err := k.REST()
			require.NoError(t, err)
			assert.Equal(t, "https://"+test.host+":6443", config.Host)
		})
	}
}

func TestAKubeconfigLeavesOnlyItsContextAndNeedsNoFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("ca"), 0o600))
	file := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(kubetest.Kubeconfig, "certificate-authority-data: Y2E=", "certificate-authority: ca.crt", 1)), 0o600))
	k, err := Load(Source{Path: file})
	require.NoError(t, err)
	assert.NotContains(t, k.Text, "other.example", "a context that is not used left the machine")
	assert.Equal(t, "ca", string(k.Authority))
	assert.Equal(t, file, k.Source)
	require.NoError(t, os.RemoveAll(dir))
	again, err := Load(Source{Text: k.Text, Owner: "in a test"})
	require.NoError(t, err)
	config, err := again.REST()
	require.NoError(t, err)
	assert.Equal(t, "the-token", config.BearerToken)
	assert.Equal(t, "ca", string(config.CAData))
}

func TestWhatIsWrongWithAKubeconfigIsOneSentence(t *testing.T) {
	for name, test := range map[string]struct {
		text, context string
		want          string // FILE stands for the path
	}{
		"empty":              {"", "", "the kubeconfig FILE names no cluster: point KUBECONFIG or neuroscale:cluster.kubeconfig at one that does"},
		"not YAML":           {"{", "", "the kubeconfig FILE cannot be read ("},
		"an unknown context": {kubetest.Kubeconfig, "lba", `the kubeconfig FILE has no context "lba": set neuroscale:cluster.context to one of lab, other`},
		"no current context": {strings.Replace(kubetest.Kubeconfig, "current-context: lab", "", 1), "", "the kubeconfig FILE has no current context: set neuroscale:cluster.context to one of lab, other"},
		"no such user":       {strings.Replace(kubetest.Kubeconfig, "user: lab", "user: lba", 1), "", "the kubeconfig FILE is incomplete ("},
		"no cluster":         {strings.Replace(kubetest.Kubeconfig, "cluster: lab, ", "", 1), "", "the kubeconfig FILE is incomplete (context \"lab\" has no cluster): write it anew"},
		"no such file":       {strings.Replace(kubetest.Kubeconfig, "certificate-authority-data: Y2E=", "certificate-authority: /missing/ca.crt", 1), "", "the kubeconfig FILE names a file that cannot be read ("},
		"no certificate":     {kubetest.Kubeconfig, "", "the kubeconfig FILE gives no client: unable to load root certificates"},
		"no server":          {strings.Replace(kubetest.Kubeconfig, "https://10.0.0.7:6443", "nonsense", 1), "", `the kubeconfig FILE has the server "nonsense": write a URL such as https://host:6443`},
	} {
		t.Run(name, func(t *testing.T) {
			file := kubetest.File(t, test.text)
			_, err := Connect(Source{Path: file, Context: test.context})
			require.ErrorContains(t, err, strings.ReplaceAll(test.want, "FILE", file))
			assert.NotContains(t, err.Error(), "\n")
		})
	}
	_, err := Load(Source{Getenv: environment(map[string]string{"KUBECONFIG": "/missing/a:/missing/b"})})
	require.EqualError(t, err, "the kubeconfig /missing/a, /missing/b does not exist: set neuroscale:cluster.kubeconfig or KUBECONFIG to one that does "+
		`(on a sealed machine: eval "$(sealed env)")`)
	_, err = Load(Source{Owner: "in the outputs of stack ci", Path: kubetest.File(t, kubetest.Kubeconfig)})
	require.ErrorContains(t, err, "the kubeconfig in the outputs of stack ci names no cluster", "another cluster was taken for the stack's")
}
