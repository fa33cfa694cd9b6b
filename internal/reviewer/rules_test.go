package reviewer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/internal/schema"
)

// packed are the platform's rules as they reach the pod.
func packed(t *testing.T) *guard.Rules {
	t.Helper()
	cache := filepath.Join(t.TempDir(), "cache")
	renderer, err := render.New(gitops.FS, filepath.Join(cache, "render"))
	require.NoError(t, err)
	v, err := schema.New(t.Context(), schema.Options{Renderer: renderer, CacheDir: filepath.Join(cache, "schemas")})
	require.NoError(t, err)
	schemas, err := v.Files()
	require.NoError(t, err)
	c := config.Default()
	archive, err := guard.Rules{Tenants: c.Tenants, DefaultResources: c.Serving.DefaultResources}.Pack(gitops.FS, schemas)
	require.NoError(t, err)
	again, err := guard.Rules{Tenants: c.Tenants, DefaultResources: c.Serving.DefaultResources}.Pack(gitops.FS, schemas)
	require.NoError(t, err)
	require.Equal(t, archive, again, "the same rules are other bytes: every up would make another pod")
	folder := t.TempDir()
	require.NoError(t, guard.Unpack(archive, folder))
	rules, err := guard.OpenRules(folder)
	require.NoError(t, err)
	return rules
}
