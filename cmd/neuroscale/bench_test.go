package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// read is what a stack file says.
func read(t *testing.T, raw []byte) *config.Config {
	t.Helper()
	values, err := settings(raw)
	require.NoError(t, err)
	c, err := stacks.Config(values)
	require.NoError(t, err)
	return c
}

func TestRoomIsMadeForTheFirstTenantAndNothingElseIsChanged(t *testing.T) {
	for name, text := range map[string]string{
		"nothing written":       "encryptionsalt: v1:x\n",
		"no tenant":             "config:\n  neuroscale:portal:\n    enabled: false\n",
		"another first tenant":  "config:\n  neuroscale:tenants:\n    - {namespace: team-a, owner: a, costCenter: a, repositories: [a], quota: {pods: 3, secrets: 7}}\n    - {namespace: team-b, owner: b, costCenter: b, repositories: [b]}\n",
		"figures that are none": "config:\n  neuroscale:tenants:\n    - {quota: {requests: {cpu: \"0.5\"}}, members: [anna]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := read(t, []byte(text))
			raw, err := withQuota([]byte(text), roomFor(before.Tenants[0].Quota, 50))
			require.NoError(t, err)
			after := read(t, raw)
			q, was := after.Tenants[0].Quota, before.Tenants[0].Quota
			assert.Equal(t, was.InferenceServices+50, q.InferenceServices)
			assert.Equal(t, was.Applications+50, q.Applications)
			assert.GreaterOrEqual(t, q.Services, 50*config.ServicesOfInferenceService)
			assert.Equal(t, was.Secrets, q.Secrets)
			after.Tenants[0].Quota = was
			assert.Equal(t, before, after)
		})
	}
	_, err := withQuota([]byte("config:\n  neuroscale:tenants: [one]\n"), config.Quota{})
	assert.ErrorContains(t, err, "neuroscale:tenants[0] is no tenant")
}

func TestRoomGoesWhenItsSettingsDo(t *testing.T) {
	m := newMachine(t)
	before, err := os.ReadFile(filepath.Join(m.root, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	var roots []string
	var broken error
	at := func(root string) program {
		return func(_ context.Context, args ...string) ([]byte, error) {
			assert.Equal(t, []string{"up", "-o", "json"}, args)
			roots = append(roots, root)
			if root != m.root {
				raw, err := os.ReadFile(filepath.Join(root, "Pulumi.ci.yaml"))
				require.NoError(t, err)
				assert.Equal(t, 55, read(t, raw).Tenants[0].Quota.InferenceServices)
				return nil, broken
			}
			return nil, nil
		}
	}
	a := &app{stack: "ci"}
	project := &automation.Project{Root: m.root}
	quota := config.Default().Tenants[0].Quota
	_, back, err := a.roomy(t.Context(), project, quota, 50, at(m.root), at)
	require.NoError(t, err)
	require.Len(t, roots, 1)
	assert.DirExists(t, roots[0])
	require.NoError(t, back(t.Context()))
	assert.NoDirExists(t, roots[0])
	assert.Equal(t, m.root, roots[1])

	roots, broken = nil, errors.New("it broke")
	_, _, err = a.roomy(t.Context(), project, quota, 50, at(m.root), at)
	require.ErrorContains(t, err, "it broke")
	require.Len(t, roots, 2, "the wider quota stays when it could not be brought up")
	assert.Equal(t, m.root, roots[1])
	assert.NoDirExists(t, roots[0])
	after, err := os.ReadFile(filepath.Join(m.root, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "the checkout's settings were changed")
}
