package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/config"
)

// Wanted is what an engine has to have for a cluster.
type Wanted struct {
	// Cluster is its name: what carries it in Label is its own.
	Cluster string
	// Ports on loopback, and the settings that say so.
	Ports []config.NodePort
	// CPUs is how many a container may use, 0 for all; Memory in bytes.
	CPUs   int
	Memory int64
	// Inotify is how many instances of it a user has to have.
	Inotify int
	// Pulled are images that a registry has to have before the cluster is made.
	Pulled []string
	// Bases are images that others are built of: the engine has them, or a registry.
	Bases []string
}

const (
	gib = 1 << 30
	// leastAPI is Docker 20.10's.
	leastAPI = "1.41"
	// leastDisk is what the platform's images take unpacked.
	leastDisk = 15 * gib
)

// Engine is what is known of a Docker engine.
type Engine struct {
	// API is the newest version of its API.
	API  string
	Info Info
	// Published are containers by the ports that they have on this machine.
	Published map[int]Published
	// Local is what only an engine on this machine's own kernel lets be known.
	Local *Local
}

// Info is what an engine says of itself.
type Info struct {
	ServerVersion, OperatingSystem, OSType, CgroupVersion, DockerRootDir string
	SecurityOptions                                                      []string
	NCPU                                                                 int
	MemTotal                                                             int64
	// ServerErrors is why it could not be asked.
	ServerErrors []string
}

// Published is a container that has a port, and the cluster it is part of.
type Published struct{ Container, Cluster string }

// Local is what is known of the machine of an engine.
type Local struct {
	// Controllers of cgroup version 2.
	Controllers []string
	// Inotify is how many instances a user may have; Disk is free, in bytes.
	Inotify int
	Disk    uint64
}

// Preflight tells everything that keeps a cluster from running on the engine that the
// docker command takes, at once, in sentences.
func Preflight(ctx context.Context, want Wanted) error {
	e, err := Inspect(ctx, run)
	if err != nil {
		return err
	}
	if err := errors.Join(e.Check(want), checkPorts(want, e, holder), checkImages(ctx, want, e, registryHas, engineOrRegistryHas)); err != nil {
		// One text: Pulumi counts the parts of an error that has some.
		return errors.New(err.Error())
	}
	return nil
}

// checkImages tells of images that no node could pull, and of those that nothing could be
// built of. Whoever has the cluster already has them, and is not asked: it may be away
// from any network.
func checkImages(ctx context.Context, want Wanted, e *Engine, pulled, base func(context.Context, string) error) error {
	for _, there := range e.Published {
		if there.Cluster == want.Cluster {
			return nil
		}
	}
	for _, image := range want.Pulled {
		if err := pulled(ctx, image); err != nil {
			return fmt.Errorf("the image %s of this version cannot be pulled (%w): have it built (neuroscale:cluster.ownImages build), take a released version, name a registry that has it in neuroscale:cluster.mirrors, or type `make up STACK=ci`, which builds all images itself", image, err)
		}
	}
	var problems []error
	for _, image := range want.Bases {
		if err := base(ctx, image); err != nil {
			problems = append(problems, fmt.Errorf("the platform's own images are built of %s, which cannot be pulled (%w): connect to its registry, or have them pulled (neuroscale:cluster.ownImages pull) from a released version", image, err))
		}
	}
	return errors.Join(problems...)
}

// engineOrRegistryHas looks for an image here first: a build takes what is here.
func engineOrRegistryHas(ctx context.Context, image string) error {
	if exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() == nil {
		return nil
	}
	return registryHas(ctx, image)
}

// registryHas asks an image's registry for it.
func registryHas(ctx context.Context, image string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "manifest", "inspect", image)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		if text := strings.Join(strings.Fields(said.String()), " "); text != "" {
			return errors.New(text)
		}
		return err
	}
	return nil
}

// run calls the docker command, which knows contexts, certificates and tunnels.
func run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the docker command is not in PATH: install Docker, or use stack ci with a cluster you have")
	}
	if err != nil {
		return "", fmt.Errorf("the Docker engine does not answer (%s): start Docker, or use stack ci with a cluster you have",
			strings.Join(strings.Fields(said.String()), " "))
	}
	return strings.TrimSpace(string(out)), nil
}

// Host is the engine that the docker command takes: DOCKER_HOST, else that of its
// current context.
func Host(ctx context.Context, docker func(context.Context, ...string) (string, error)) (string, error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host, nil
	}
	return docker(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
}

// CurrentHost is Host by the docker command, empty where there is none.
func CurrentHost(ctx context.Context) string {
	host, err := Host(ctx, run)
	if err != nil {
		return ""
	}
	return host
}

// Inspect asks the engine by the docker command.
func Inspect(ctx context.Context, docker func(context.Context, ...string) (string, error)) (*Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	host, err := Host(ctx, docker)
	if err != nil {
		return nil, err
	}
	e := &Engine{}
	if e.API, err = docker(ctx, "version", "--format", "{{.Server.APIVersion}}"); err != nil {
		return nil, err
	}
	info, err := docker(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(info), &e.Info); err != nil {
		return nil, fmt.Errorf("read what the Docker engine says of itself: %w", err)
	}
	list, err := docker(ctx, "ps", "--format", `{{.Names}}|{{.Label "`+Label+`"}}|{{.Ports}}`)
	if err != nil {
		return nil, err
	}
	e.Published = published(list)
	e.Local = local(host, e.Info)
	return e, nil
}

// onHost are the ports of a container on this machine, such as
// 127.0.0.1:30080-30082->30080-30082/tcp.
var onHost = regexp.MustCompile(`:(\d+)(?:-(\d+))?->`)

func published(list string) map[int]Published {
	all := map[int]Published{}
	for line := range strings.Lines(list) {
		f := strings.SplitN(strings.TrimSpace(line), "|", 3)
		if len(f) != 3 {
			continue
		}
		for _, found := range onHost.FindAllStringSubmatch(f[2], -1) {
			first, _ := strconv.Atoi(found[1])
			last := first
			if found[2] != "" {
				last, _ = strconv.Atoi(found[2])
			}
			for port := first; port <= last; port++ {
				all[port] = Published{Container: f[0], Cluster: f[1]}
			}
		}
	}
	return all
}

// Check tells what the engine lacks, ports apart.
func (e *Engine) Check(want Wanted) error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if older(e.API, leastAPI) {
		wrong("the Docker engine %s is too old (API %s): install 20.10 or newer", e.Info.ServerVersion, e.API)
	}
	if e.Info.OSType != "" && e.Info.OSType != "linux" {
		wrong("the Docker engine runs %s containers: switch it to Linux containers", e.Info.OSType)
	}
	for option, why := range map[string]string{
		"name=rootless": "runs without root, and so without privileged containers: use one that runs as root",
		"name=userns":   "maps users (userns-remap), and so gives no privileges to containers: turn that off",
	} {
		if slices.ContainsFunc(e.Info.SecurityOptions, func(o string) bool { return o == option || strings.HasPrefix(o, option+",") }) {
			wrong("a node is a privileged container, and the Docker engine %s", why)
		}
	}
	if want.Memory > 0 && e.Info.MemTotal > 0 && e.Info.MemTotal < want.Memory {
		wrong("neuroscale:cluster.memory is %.1f GiB and the Docker engine has %.1f GiB: give it more (Docker Desktop: Settings, Resources), or lower the setting",
			float64(want.Memory)/gib, float64(e.Info.MemTotal)/gib)
	}
	if want.CPUs > e.Info.NCPU {
		wrong("neuroscale:cluster.cpus is %d and the Docker engine has %d: lower the setting", want.CPUs, e.Info.NCPU)
	}
	if e.Local != nil {
		problems = append(problems, e.Local.check(e.Info, want))
	}
	return errors.Join(problems...)
}

func (l *Local) check(info Info, want Wanted) error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if info.CgroupVersion == "2" {
		var missing []string
		for _, c := range []string{"cpu", "cpuset", "memory", "pids"} {
			if !slices.Contains(l.Controllers, c) {
				missing = append(missing, c)
			}
		}
		if len(missing) > 0 {
			wrong("the cgroup controllers %s are off: turn them on in the kernel's command line (cgroup_enable=memory and the like) and restart", strings.Join(missing, ", "))
		}
	}
	if l.Inotify < want.Inotify {
		wrong("fs.inotify.max_user_instances is %d and a node needs %d: run `sudo sysctl -w fs.inotify.max_user_instances=%d`", l.Inotify, want.Inotify, want.Inotify)
	}
	if l.Disk < leastDisk {
		wrong("%s has %.1f GB of free disk and the platform's images need %.0f GB: run `docker system prune` or make room", info.DockerRootDir, float64(l.Disk)/1e9, float64(leastDisk)/1e9)
	}
	return errors.Join(problems...)
}

// older compares versions of two numbers.
func older(version, least string) bool {
	var have, want [2]int
	if n, _ := fmt.Sscanf(version, "%d.%d", &have[0], &have[1]); n != 2 {
		return false
	}
	if n, _ := fmt.Sscanf(least, "%d.%d", &want[0], &want[1]); n != 2 {
		return false
	}
	return slices.Compare(have[:], want[:]) < 0
}

// checkPorts tells of every port that somebody else has, and who. One that is the
// cluster's own is free for it.
func checkPorts(want Wanted, e *Engine, holder func(port int) string) error {
	var problems []error
	for _, p := range want.Ports {
		port, setting, who := p.Port, p.Setting, ""
		if p, ok := e.Published[port]; ok {
			if p.Cluster == want.Cluster {
				continue
			}
			who = "container " + p.Container
		} else {
			l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
			if err == nil {
				_ = l.Close()
				continue
			}
			if !errors.Is(err, syscall.EADDRINUSE) {
				problems = append(problems, fmt.Errorf("port %d (neuroscale:%s) cannot be had: %w", port, setting, err))
				continue
			}
			if who = holder(port); who == "" {
				who = "another program"
			}
		}
		problems = append(problems, fmt.Errorf("port %d (neuroscale:%s) is in use by %s: end that, or set another port", port, setting, who))
	}
	return errors.Join(problems...)
}

// holder is the process that listens on a port of loopback or of all addresses, as far
// as this user may know.
func holder(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			const listening = "0A"
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && inodes[to] {
			process := filepath.Dir(filepath.Dir(file))
			name, _ := os.ReadFile(filepath.Join(process, "comm"))
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
		}
	}
	return ""
}
