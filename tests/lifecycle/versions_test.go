package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const pins = "gitops/upstream.yaml"

// TestAVersionChangesUnderAnEndpoint has every version of the platform changed alone
// and changed back, one of which is an upgrade and the other a rollback, while an
// endpoint is asked all the time.
func TestAVersionChangesUnderAnEndpoint(t *testing.T) {
	l := begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	checkout, err := rig.Checkout()
	require.NoError(t, err)
	raw, err := os.ReadFile("testdata/versions.yaml")
	require.NoError(t, err)
	var versions map[string]map[string]any
	require.NoError(t, yaml.UnmarshalStrict(raw, &versions))
	// All at once: what they share is compiled once.
	all := copyCheckout(ctx, t, checkout)
	for _, difference := range versions {
		raise(t, filepath.Join(all, pins), difference)
	}
	l.nodeUp(ctx, t)
	l.up(ctx, t)
	if missing := l.missing(ctx, t, checkout, all); len(missing) > 0 {
		rig.Succeed(ctx, t, rig.Command{Path: l.node.Sealed, Args: append([]string{"images", "--repo", all}, missing...), Env: l.env})
	}
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		t.Run(name, func(t *testing.T) {
			changed := l.of(ctx, t, checkout, versions[name])
			stop := l.asked(ctx, t, "demo-iris-2")
			assert.True(t, changed.up(ctx, t), "that version is no change")
			there := stop()
			rig.Succeed(ctx, t, changed.command("verify", "--wait", "2m"))
			stop = l.asked(ctx, t, "demo-iris-2")
			assert.True(t, l.up(ctx, t), "the way back is no change")
			back := stop()
			rig.Succeed(ctx, t, l.command("verify", "--wait", "2m"))
			require.Greater(t, min(there.all, back.all), 100, "hardly anybody asked")
			assert.Empty(t, there.failed, "while it changed, of %d", there.all)
			assert.Empty(t, back.failed, "while it changed back, of %d", back.all)
			t.Logf("there %d requests, longest %s; back %d, longest %s", there.all, there.longest, back.all, back.longest)
		})
	}
}

// missing are the images of a checkout that have another name there than in the first
// one, and are still to be built.
func (l *life) missing(ctx context.Context, t *testing.T, first, checkout string) (names []string) {
	t.Helper()
	type image struct {
		Name    string `json:"name"`
		Image   string `json:"image"`
		Current bool   `json:"current"`
	}
	list := func(repo string) (images []image) {
		r := rig.Succeed(ctx, t, rig.Command{Path: l.node.Sealed, Args: []string{"images", "--repo", repo, "-o", "json"}, Env: l.env})
		require.NoError(t, json.Unmarshal([]byte(r.Stdout), &images))
		return images
	}
	there := map[string]bool{}
	for _, i := range list(first) {
		there[i.Image] = true
	}
	for _, i := range list(checkout) {
		if !there[i.Image] && !i.Current {
			names = append(names, i.Name)
		}
	}
	return names
}

// of is the same stack by a program whose pins differ. They are all that does, so that
// nearly everything is compiled already.
func (l *life) of(ctx context.Context, t *testing.T, checkout string, difference map[string]any) *life {
	t.Helper()
	dir := t.TempDir()
	raw, err := os.ReadFile(filepath.Join(checkout, pins))
	require.NoError(t, err)
	file := filepath.Join(dir, "upstream.yaml")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	raise(t, file, difference)
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(checkout, pins): file}})
	require.NoError(t, err)
	overlay := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))
	other := *l
	other.neuroscale = filepath.Join(dir, "neuroscale")
	rig.Succeed(ctx, t, rig.Command{Path: "go", Args: []string{"build", "-overlay", overlay, "-o", other.neuroscale, "./cmd/neuroscale"}, Dir: checkout})
	return &other
}

// raise puts what differs into a file of pins.
func raise(t *testing.T, file string, difference map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &all))
	lay(all, difference)
	raw, err = yaml.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, raw, 0o600))
}

// copyCheckout copies what Git has of it.
func copyCheckout(ctx context.Context, t *testing.T, checkout string) (repo string) {
	t.Helper()
	repo = t.TempDir()
	listed := rig.Succeed(ctx, t, rig.Command{Path: "git", Args: []string{"ls-files", "-z"}, Dir: checkout})
	for _, name := range strings.Split(strings.TrimSuffix(listed.Stdout, "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(checkout, name))
		require.NoError(t, err)
		raw, err := os.ReadFile(filepath.Join(checkout, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(repo, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(repo, name), raw, info.Mode()))
	}
	return repo
}

// lay puts values into a tree, next to those that are there.
func lay(on, values map[string]any) {
	for key, value := range values {
		below, isTree := on[key].(map[string]any)
		if more, ok := value.(map[string]any); ok && isTree {
			lay(below, more)
			continue
		}
		on[key] = value
	}
}

// answers are how requests ended.
type answers struct {
	all int
	// failed says, of those that were not answered with 200, when and how.
	failed  []string
	longest time.Duration
}

// asked has an endpoint asked all the time, by one who keeps his connection and one who
// makes a new one for each request, until it is stopped.
func (l *life) asked(ctx context.Context, t *testing.T, endpoint string) (stop func() answers) {
	t.Helper()
	outputs := l.outputs(ctx, t)
	var example predict.Answer
	r := rig.Succeed(ctx, t, l.command("predict", endpoint, "-o", "json"))
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &example))

	everybody := map[string]func(context.Context) (rig.Answer, error){}
	for who, client := range map[string]*http.Client{
		"kept": predict.NewClient(15*time.Second, outputs.Authority), "new": rig.Direct(outputs.Authority),
	} {
		everybody[who] = func(ctx context.Context) (rig.Answer, error) {
			return rig.Ask(ctx, client, example.URL, example.Host, outputs.PlatformKey, predict.Example)
		}
	}
	ended := rig.OnAndOn(ctx, 50*time.Millisecond, everybody)
	return func() (got answers) {
		for _, a := range ended() {
			got.all++
			got.longest = max(got.longest, a.Took.Round(time.Millisecond))
			if a.Err != nil || a.Answer.Code != http.StatusOK {
				got.failed = append(got.failed, fmt.Sprintf("%s %s: %d %s %v", a.At.Round(100*time.Millisecond), a.Who, a.Answer.Code, a.Answer.Body, a.Err))
			}
		}
		return got
	}
}
