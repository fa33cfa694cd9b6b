package packages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMissingLooksForProgramsAndFilesFromAnywhere(t *testing.T) {
	here := filepath.Join(t.TempDir(), "bridge")
	require.NoError(t, os.WriteFile(here, nil, 0o755))
	assert.Equal(t, []string{"b", "d"}, Missing([]Package{
		{Name: "a", Program: "sh"},
		{Name: "b", Program: "no-such-program"},
		{Name: "c", Files: []string{"/nowhere/bridge", here}},
		{Name: "d", Files: []string{"/nowhere/bridge"}},
	}))
}

func TestPolicyForbidsServicesAndIsTakenBack(t *testing.T) {
	for name, before := range map[string]string{"there was none": "", "there was one": "#!/bin/sh\nexit 0\n"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy-rc.d")
			if before != "" {
				require.NoError(t, os.WriteFile(file, []byte(before), 0o755))
			}
			restore, err := denyServices(file)
			require.NoError(t, err)
			assertDenies(t, file)
			require.NoError(t, restore())
			assertContent(t, file, before)
		})
	}
}

func TestPolicyOfARunThatWasKilledIsTakenBackToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy-rc.d")
	require.NoError(t, os.WriteFile(file, []byte("theirs"), 0o755))
	_, err := denyServices(file) // and never restored
	require.NoError(t, err)
	restore, err := denyServices(file)
	require.NoError(t, err)
	assertDenies(t, file)
	require.NoError(t, restore())
	assertContent(t, file, "theirs")
}

func assertDenies(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(content), "exit 101")
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o100, "a policy that cannot be run is no policy")
}

func assertContent(t *testing.T, file, want string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if want == "" {
		assert.ErrorIs(t, err, os.ErrNotExist)
		return
	}
	require.NoError(t, err)
	assert.Equal(t, want, string(content))
}
