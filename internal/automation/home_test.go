package automation

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestHomeFollowsPulumisOwnVariables(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want Home
		fail string
	}{
		"default": {
			env:  map[string]string{"HOME": "/home/ann"},
			want: Home{"file:///home/ann/.local/state/neuroscale", "/home/ann/.local/state/neuroscale", "/home/ann/.config/neuroscale/passphrase-07cc1524594c", "/home/ann/.local/state/neuroscale/passphrase", "/home/ann/.local/state/neuroscale/work"},
		},
		"XDG_STATE_HOME": {
			env:  map[string]string{"HOME": "/home/ann", "XDG_STATE_HOME": "/state"},
			want: Home{"file:///state/neuroscale", "/state/neuroscale", "/home/ann/.config/neuroscale/passphrase-6c82830b7973", "/state/neuroscale/passphrase", "/state/neuroscale/work"},
		},
		"a file backend and a passphrase file": {
			env:  map[string]string{"HOME": "/home/ann", "PULUMI_BACKEND_URL": "file:///node/state", "PULUMI_CONFIG_PASSPHRASE_FILE": "/node/passphrase"},
			want: Home{"file:///node/state", "/node/state", "", "", "/node/state/work"},
		},
		"a file backend below home": {
			env:  map[string]string{"HOME": "/home/ann", "PULUMI_BACKEND_URL": "file://~", "PULUMI_CONFIG_PASSPHRASE": "x"},
			want: Home{"file://~", "/home/ann", "", "", "/home/ann/work"},
		},
		"another backend": {
			env:  map[string]string{"HOME": "/home/ann", "PULUMI_BACKEND_URL": "s3://bucket"},
			want: Home{"s3://bucket", "", "/home/ann/.config/neuroscale/passphrase-1882ba4d881c", "/home/ann/.local/state/neuroscale/backend-f6404b9c72d8/passphrase", "/home/ann/.local/state/neuroscale/backend-f6404b9c72d8/work"},
		},
		"relative":  {env: map[string]string{"HOME": "/h", "PULUMI_BACKEND_URL": "file://state"}, fail: "is relative: use file:///absolute/path"},
		"not a URL": {env: map[string]string{"HOME": "/h", "PULUMI_BACKEND_URL": "state"}, fail: "is not a URL"},
		"no home":   {env: nil, fail: "neither XDG_STATE_HOME nor HOME is set"},
		"XDG_CONFIG_HOME": {
			env:  map[string]string{"XDG_STATE_HOME": "/state", "XDG_CONFIG_HOME": "/config"},
			want: Home{"file:///state/neuroscale", "/state/neuroscale", "/config/neuroscale/passphrase-6c82830b7973", "/state/neuroscale/passphrase", "/state/neuroscale/work"},
		},
		"no home for the passphrase": {env: map[string]string{"XDG_STATE_HOME": "/state"}, fail: "neither XDG_CONFIG_HOME nor HOME is set"},
		"no home, but a passphrase": {
			env:  map[string]string{"XDG_STATE_HOME": "/state", "PULUMI_CONFIG_PASSPHRASE": "x"},
			want: Home{"file:///state/neuroscale", "/state/neuroscale", "", "", "/state/neuroscale/work"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := LocateHome(environment(c.env))
			if c.fail != "" {
				assert.ErrorContains(t, err, c.fail)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, h)
		})
	}
}

func TestNoSumIsWrittenBesideAStateInAFolder(t *testing.T) {
	for given, want := range map[string]string{
		"file:///state":                  "file:///state?metadata=skip",
		"file:///state?no_tmp_dir=false": "file:///state?no_tmp_dir=false&metadata=skip",
		"file:///state?metadata=":        "file:///state?metadata=",
		"s3://bucket?region=x":           "s3://bucket?region=x",
	} {
		h, err := LocateHome(environment(map[string]string{"HOME": "/h", "PULUMI_BACKEND_URL": given}))
		require.NoError(t, err)
		assert.Equal(t, want, h.Env()["PULUMI_BACKEND_URL"])
		assert.Equal(t, given, h.BackendURL, "people are told what they have set")
	}
}

func TestStateAndPassphraseAreOnlyTheUsers(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h, err := LocateHome(environment(map[string]string{"HOME": filepath.Dir(state), "PULUMI_BACKEND_URL": "file://" + state}))
	require.NoError(t, err)
	require.NoError(t, h.Create())
	first, err := os.ReadFile(h.PassphraseFile)
	require.NoError(t, err)
	assert.Greater(t, len(first), 40)
	require.NoError(t, h.Create(), "a second run")
	second, err := os.ReadFile(h.PassphraseFile)
	require.NoError(t, err)
	assert.Equal(t, first, second, "a new passphrase would lock people out of their state")

	for path, mode := range map[string]os.FileMode{
		state: 0o700, h.workRoot: 0o700, h.PassphraseFile: 0o600, filepath.Dir(h.PassphraseFile): 0o700,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), path)
	}
}

func TestACopyOfTheStateDoesNotHoldWhatOpensIt(t *testing.T) {
	root, state := checkout(t)
	fakepulumi.Install(t, fakepulumi.Script{})
	s := open(t, root, state, nil)
	_, err := s.Up(t.Context(), UpOptions{}, nil)
	require.NoError(t, err)
	passphrase, err := os.ReadFile(s.home.PassphraseFile)
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(state, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		assert.NotContains(t, string(content), strings.TrimSpace(string(passphrase)), path)
		return err
	}))
}

func TestAPassphraseBesideTheStateIsMoved(t *testing.T) {
	for name, test := range map[string]struct {
		beside, kept string // what is where before; "" is no file
		want, left   string
	}{
		"of an earlier version":          {beside: "old\n", want: "old\n"},
		"moved by half, by a killed run": {beside: "old\n", kept: "old\n", want: "old\n"},
		"moved already":                  {kept: "old\n", want: "old\n"},
		"of somebody else":               {beside: "other\n", kept: "old\n", want: "old\n", left: "other\n"},
	} {
		t.Run(name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "state")
			h, err := LocateHome(environment(map[string]string{"HOME": filepath.Dir(state), "PULUMI_BACKEND_URL": "file://" + state}))
			require.NoError(t, err)
			// It opens a state that is there.
			encryptedState(t, state)
			for path, content := range map[string]string{filepath.Join(state, "passphrase"): test.beside, h.PassphraseFile: test.kept} {
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				if content != "" {
					require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
				}
			}
			require.NoError(t, h.Create())
			kept, err := os.ReadFile(h.PassphraseFile)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(kept))
			info, err := os.Stat(h.PassphraseFile)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			left, _ := os.ReadFile(filepath.Join(state, "passphrase"))
			assert.Equal(t, test.left, string(left))
		})
	}
}

func TestAnEncryptedStateGetsNoPassphraseThatCannotOpenIt(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h, err := LocateHome(environment(map[string]string{"HOME": filepath.Dir(state), "PULUMI_BACKEND_URL": "file://" + state}))
	require.NoError(t, err)
	encryptedState(t, state)
	err = h.Create()
	require.EqualError(t, err, "the state in "+state+" is encrypted and its passphrase is not in "+h.PassphraseFile+
		": put that file back, or set PULUMI_CONFIG_PASSPHRASE_FILE (or PULUMI_CONFIG_PASSPHRASE)")
	assert.NoFileExists(t, h.PassphraseFile)
}

func TestTheEnginesSaltStaysOutOfTheCheckoutAndIsKept(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	root, state := checkout(t)
	s := open(t, root, state, nil)
	_, err := s.Up(context.Background(), UpOptions{}, nil)
	require.NoError(t, err)

	own, err := os.ReadFile(filepath.Join(root, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	assert.Equal(t, settingsOfCI, string(own), "the checkout was written to")
	dir, err := s.home.Stage(s.Project, "ci")
	require.NoError(t, err)
	staged, err := os.ReadFile(filepath.Join(dir, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "encryptionsalt: v1:made-by-the-engine\n"+settingsOfCI, string(staged), "the next run needs the same salt")
}

func TestTheCheckoutsOwnSaltWins(t *testing.T) {
	root, state := checkout(t)
	h, err := LocateHome(environment(map[string]string{"HOME": filepath.Dir(state), "PULUMI_BACKEND_URL": "file://" + state}))
	require.NoError(t, err)
	require.NoError(t, h.Create())
	p, err := FindProject(root)
	require.NoError(t, err)
	dir, err := h.Stage(p, "ci")
	require.NoError(t, err)
	staged := filepath.Join(dir, "Pulumi.ci.yaml")
	require.NoError(t, os.WriteFile(staged, []byte("encryptionsalt: v1:old\n"), 0o600))
	committed := "encryptionsalt: v1:committed\n" + settingsOfCI
	require.NoError(t, os.WriteFile(filepath.Join(root, "Pulumi.ci.yaml"), []byte(committed), 0o600))
	_, err = h.Stage(p, "ci")
	require.NoError(t, err)
	got, err := os.ReadFile(staged)
	require.NoError(t, err)
	assert.Equal(t, committed, string(got))
}

func TestACopyCutShortByAKillDoesNotStopTheNextRun(t *testing.T) {
	root, state := checkout(t)
	h, err := LocateHome(environment(map[string]string{"HOME": filepath.Dir(state), "PULUMI_BACKEND_URL": "file://" + state}))
	require.NoError(t, err)
	require.NoError(t, h.Create())
	p, err := FindProject(root)
	require.NoError(t, err)
	dir, err := h.Stage(p, "ci")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.ci.yaml"), []byte("encrypt\n\t{"), 0o600))
	_, err = h.Stage(p, "ci")
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dir, "Pulumi.ci.yaml"))
	require.NoError(t, err)
	assert.Equal(t, settingsOfCI, string(got))
}
