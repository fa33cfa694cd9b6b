package automation

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// Home says where a stack's state lives and what keeps its secrets.
type Home struct {
	// BackendURL is the Pulumi backend.
	BackendURL string
	// StateDir is the folder of a file:// backend, "" for any other.
	StateDir string
	// PassphraseFile holds the passphrase this program generated, which is not in
	// the state's folder: who copies that has not copied what opens it. "" when the
	// environment already names one.
	PassphraseFile string
	// formerPassphrase is where it was before, beside the state.
	formerPassphrase string
	// workRoot is where copies of the project's settings are kept.
	workRoot string
}

// LocateHome resolves the backend from PULUMI_BACKEND_URL, else a file backend
// below XDG_STATE_HOME, and the passphrase from PULUMI_CONFIG_PASSPHRASE or
// PULUMI_CONFIG_PASSPHRASE_FILE, else a generated file below XDG_CONFIG_HOME, one
// for each backend. It creates nothing.
func LocateHome(getenv func(string) string) (Home, error) {
	base, err := userFolder(getenv, "XDG_STATE_HOME", filepath.Join(".local", "state"), "the stack's state")
	if err != nil {
		return Home{}, err
	}

	h := Home{BackendURL: getenv("PULUMI_BACKEND_URL")}
	if h.BackendURL == "" {
		h.BackendURL = "file://" + base
	}
	u, err := url.Parse(h.BackendURL)
	if err != nil || u.Scheme == "" {
		return Home{}, fmt.Errorf("PULUMI_BACKEND_URL %q is not a URL: use file:///absolute/path, s3://..., or unset it", h.BackendURL)
	}
	next := base
	if u.Scheme == "file" {
		dir := strings.TrimPrefix(h.BackendURL, "file://")
		if dir, _, _ = strings.Cut(dir, "?"); strings.HasPrefix(dir, "~") {
			dir = getenv("HOME") + strings.TrimPrefix(dir, "~")
		}
		if !filepath.IsAbs(dir) {
			return Home{}, fmt.Errorf("PULUMI_BACKEND_URL %q is relative: use file:///absolute/path", h.BackendURL)
		}
		h.StateDir = filepath.Clean(dir)
		next = h.StateDir
	} else {
		sum := sha256.Sum256([]byte(h.BackendURL))
		next = filepath.Join(base, "backend-"+hex.EncodeToString(sum[:6]))
	}
	h.workRoot = filepath.Join(next, "work")
	if getenv("PULUMI_CONFIG_PASSPHRASE") != "" || getenv("PULUMI_CONFIG_PASSPHRASE_FILE") != "" {
		return h, nil
	}
	kept, err := userFolder(getenv, "XDG_CONFIG_HOME", ".config", "the passphrase of the stack's state")
	if err != nil {
		return Home{}, err
	}
	sum := sha256.Sum256([]byte(next))
	h.PassphraseFile = filepath.Join(kept, "passphrase-"+hex.EncodeToString(sum[:6]))
	h.formerPassphrase = filepath.Join(next, "passphrase")
	return h, nil
}

// userFolder is the program's folder in one of the user's.
func userFolder(getenv func(string) string, variable, below, what string) (string, error) {
	base := getenv(variable)
	if base == "" {
		home := getenv("HOME")
		if home == "" {
			return "", fmt.Errorf("neither %s nor HOME is set: set one, %s is kept there", variable, what)
		}
		base = filepath.Join(home, below)
	}
	return filepath.Join(base, "neuroscale"), nil
}

// Create makes the folders (0700) and, once, the passphrase file (0600). One that an
// earlier version left beside the state is moved. A state that is encrypted already
// gets no new passphrase, which could not open it: that is an error.
func (h Home) Create() error {
	dirs := []string{h.workRoot}
	if h.StateDir != "" {
		dirs = append(dirs, h.StateDir)
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("create the state folder %s: %w", d, err)
		}
	}
	if h.PassphraseFile == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(h.PassphraseFile), 0o700); err != nil {
		return fmt.Errorf("create the passphrase's folder: %w", err)
	}
	return h.ensurePassphrase()
}

func (h Home) ensurePassphrase() error {
	former, err := h.former()
	if err != nil {
		return err
	}
	kept, err := os.ReadFile(h.PassphraseFile)
	switch {
	case err == nil:
		// A kill may have left both. Another one there is somebody's: it stays.
		if former == nil || !bytes.Equal(former, kept) {
			return nil
		}
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("read the passphrase file: %w", err)
	case former != nil:
		if err := publish(h.PassphraseFile, former); err != nil {
			return err
		}
	case h.encrypted():
		return fmt.Errorf("the state in %s is encrypted and its passphrase is not in %s: put that file back, or set PULUMI_CONFIG_PASSPHRASE_FILE (or PULUMI_CONFIG_PASSPHRASE)",
			h.StateDir, h.PassphraseFile)
	default:
		raw := make([]byte, 32)
		if _, err := rand.Read(raw); err != nil {
			return fmt.Errorf("generate the passphrase: %w", err)
		}
		return publish(h.PassphraseFile, []byte(base64.RawURLEncoding.EncodeToString(raw)+"\n"))
	}
	if err := os.Remove(h.formerPassphrase); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the passphrase that was moved to %s: %w", h.PassphraseFile, err)
	}
	return nil
}

// former is the passphrase that an earlier version kept beside the state, nil if
// there is none.
func (h Home) former() ([]byte, error) {
	if h.formerPassphrase == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(h.formerPassphrase)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the passphrase beside the state: %w", err)
	}
	return raw, nil
}

// encrypted is whether a stack of a file backend was encrypted with a passphrase.
func (h Home) encrypted() bool {
	if h.StateDir == "" {
		return false
	}
	files, _ := filepath.Glob(filepath.Join(h.StateDir, ".pulumi", "stacks", "*", "*.json"))
	for _, file := range files {
		var state struct {
			Checkpoint struct {
				Latest struct {
					Providers struct {
						Type string `json:"type"`
					} `json:"secrets_providers"`
				} `json:"latest"`
			} `json:"checkpoint"`
		}
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &state) == nil && state.Checkpoint.Latest.Providers.Type == "passphrase" {
			return true
		}
	}
	return false
}

// publish makes a file (0600) with all of content or none. If another run was faster,
// its file stays.
func publish(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".passphrase-*")
	if err != nil {
		return fmt.Errorf("create the passphrase file: %w", err)
	}
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the passphrase file: %w", err), os.Remove(tmp.Name()))
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return errors.Join(fmt.Errorf("create the passphrase file: %w", err), os.Remove(tmp.Name()))
	}
	return os.Remove(tmp.Name())
}

// withoutSums is the backend's URL; of a folder, without the file of checksums that would
// be written beside each state, and that nothing reads.
func (h Home) withoutSums() string {
	u, err := url.Parse(h.BackendURL)
	if err != nil || h.StateDir == "" || u.Query().Has("metadata") {
		return h.BackendURL
	}
	separator := "?"
	if strings.Contains(h.BackendURL, "?") {
		separator = "&"
	}
	return h.BackendURL + separator + "metadata=skip"
}

// Env is what a Pulumi command needs in its environment to use this home.
func (h Home) Env() map[string]string {
	env := map[string]string{
		"PULUMI_BACKEND_URL":       h.withoutSums(),
		"PULUMI_SKIP_UPDATE_CHECK": "true",
		// A stack made by `pulumi up` by hand keeps its salt in the state: use it.
		"PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
	}
	if h.PassphraseFile != "" {
		env["PULUMI_CONFIG_PASSPHRASE_FILE"] = h.PassphraseFile
	}
	return env
}

// HasState tells whether a file backend knows the stack; any other backend has
// to be asked, which this does not do, and counts as knowing it.
func (h Home) HasState(project, stack string) bool {
	if h.StateDir == "" {
		return true
	}
	for _, ext := range []string{".json", ".json.gz"} {
		if _, err := os.Stat(filepath.Join(h.StateDir, ".pulumi", "stacks", project, stack+ext)); err == nil {
			return true
		}
	}
	return false
}

// checkpoint reads a file backend's state of the stack.
func (h Home) checkpoint(project, stack string) ([]byte, error) {
	if h.StateDir == "" {
		return nil, errors.ErrUnsupported
	}
	return os.ReadFile(filepath.Join(h.StateDir, ".pulumi", "stacks", project, stack+".json"))
}

// Stage copies Pulumi.yaml and the stack's settings to a folder of their own
// and returns it. The engine writes `encryptionsalt` into that copy, never into
// the checkout; the salt of an earlier run is kept unless the checkout has one.
func (h Home) Stage(p *Project, stack string) (string, error) {
	file, err := p.StackFile(stack)
	if err != nil {
		return "", err
	}
	settings, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the settings of stack %s: %w", stack, err)
	}
	project, err := os.ReadFile(filepath.Join(p.Root, "Pulumi.yaml"))
	if err != nil {
		return "", fmt.Errorf("read Pulumi.yaml: %w", err)
	}
	dir := filepath.Join(h.workRoot, p.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create the work folder: %w", err)
	}
	target := filepath.Join(dir, filepath.Base(file))
	own, err := salt(settings, file)
	if err != nil {
		return "", err
	}
	if kept, err := os.ReadFile(target); err == nil && own == "" {
		// A copy cut short by a kill has no readable salt; the state has it too.
		if s, err := salt(kept, target); err == nil && s != "" {
			settings = append([]byte("encryptionsalt: "+s+"\n"), settings...)
		}
	}
	if err := replaceFile(filepath.Join(dir, "Pulumi.yaml"), project); err != nil {
		return "", err
	}
	return dir, replaceFile(target, settings)
}

func salt(raw []byte, file string) (string, error) {
	var s struct {
		Salt string `json:"encryptionsalt"`
	}
	if err := yaml.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%s is not YAML: %w", filepath.Base(file), err)
	}
	return s.Salt, nil
}

func replaceFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".stage-*")
	if err != nil {
		return fmt.Errorf("stage %s: %w", filepath.Base(path), err)
	}
	_, werr := tmp.Write(content)
	if err := errors.Join(werr, tmp.Close()); err != nil {
		return errors.Join(fmt.Errorf("stage %s: %w", filepath.Base(path), err), os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("stage %s: %w", filepath.Base(path), err)
	}
	return nil
}
