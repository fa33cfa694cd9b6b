package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

const backupPassphrase = "NEUROSCALE_BACKUP_PASSPHRASE=correct horse battery staple"

// keepsake is what a backup has to bring back.
type keepsake struct {
	file string
	// references of every repository, by its name, and the outputs.
	references map[string]string
	outputs    *stacks.Outputs
}

// references are all branches, tags and pull requests of the forge's repositories.
func (s *suite) references(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	found := map[string]string{}
	for _, repository := range append(config.Default().Repositories(), forge.Platform) {
		refs, err := clone.Git(ctx, "ls-remote", s.urlOf(t, repository))
		require.NoError(t, err)
		require.NotEmpty(t, refs)
		found[repository] = refs
	}
	return found
}

func (s *suite) backupIsMade(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	require.NoError(t, os.WriteFile(filepath.Join(clone.Dir, "kept"), []byte("by the backup\n"), 0o600))
	publish(ctx, t, clone, "Keep this")
	_, err := clone.Git(ctx, "push", "--quiet", "origin", "HEAD:refs/tags/a-tag")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(clone.Dir, "proposed"), []byte("and kept as well\n"), 0o600))
	require.NoError(t, clone.Commit(ctx, "Propose this"))
	_, err = clone.Git(ctx, "push", "--quiet", "origin", "HEAD:refs/for/main/proposed")
	require.NoError(t, err)

	s.backup = keepsake{file: filepath.Join(s.project.Dir, "platform.backup"), references: s.references(ctx, t), outputs: s.readOutputs(ctx, t)}
	r := succeed(ctx, t, with(s.command("backup", s.backup.file), backupPassphrase))
	t.Log(strings.TrimSpace(r.Stdout))
	info, err := os.Stat(s.backup.file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(s.backup.file)
	require.NoError(t, err)
	for _, secret := range []string{s.backup.outputs.ForgePassword, s.backup.outputs.ArgoCDAdminPassword, "demo-iris-2"} {
		assert.NotContains(t, string(content), secret, "it can be read without the passphrase")
	}
	again := run(ctx, t, with(s.command("backup", s.backup.file), backupPassphrase))
	assert.Positive(t, again.Code, "a backup was overwritten")
	there := run(ctx, t, with(s.command("restore", s.backup.file), backupPassphrase))
	assert.Positive(t, there.Code, "a platform that is there was overwritten")
	assert.Contains(t, there.Stderr, "is there already")
	pod, err := s.cluster.Get(ctx, kube.Pods, forge.Namespace, forge.DataPodName)
	require.NoError(t, err)
	assert.True(t, pod == nil || pod.GetDeletionTimestamp() != nil, "the pod that read the forge's data is left")
}

func (s *suite) backupComesBack(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	require.NotEmpty(t, s.backup.file, "there is no backup")
	succeed(ctx, t, s.command("destroy", "--yes", "--remove"))
	start := time.Now()
	r := succeed(ctx, t, with(s.command("restore", s.backup.file), backupPassphrase))
	t.Logf("restored in %s:\n%s", time.Since(start).Round(time.Second), r.Stderr)
	assert.Contains(t, r.Stdout, `{"predictions":[1,1]}`)
	now := s.readOutputs(ctx, t)
	assert.Equal(t, s.backup.outputs.ForgePassword, now.ForgePassword, "everybody has another password")
	assert.Equal(t, s.backup.outputs.ArgoCDAdminPassword, now.ArgoCDAdminPassword)
	assert.Equal(t, s.backup.outputs.Members, now.Members)
	assert.Equal(t, s.backup.outputs.Layers, now.Layers)
	assert.Equal(t, s.backup.references, s.references(ctx, t), "a branch, a tag or a commit is lost, or came from nowhere")
	clone := s.clone(ctx, t, s.outputs.Repository, s.administrator())
	content, err := os.ReadFile(filepath.Join(clone.Dir, "kept"))
	require.NoError(t, err)
	assert.Equal(t, "by the backup\n", string(content))
	assert.False(t, s.up(ctx, t).Changed, "an up after the restore changed something")
}
