package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
)

const (
	instance = "t-node"
	fullName = "neuroscale-" + instance
)

// machine drives the real command line on this machine.
type machine struct {
	*testing.T
	program, cache string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Getenv("NEUROSCALE_E2E") != "1" {
		t.Skip("set NEUROSCALE_E2E=1 and be root to run a real node")
	}
	require.Zero(t, os.Getuid(), "a real node needs root")
	cache := os.Getenv("NEUROSCALE_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		require.NoError(t, err)
		cache = filepath.Join(base, "neuroscale")
	}
	m := &machine{t, filepath.Join(t.TempDir(), "sealed"), cache}
	m.run("", "go", "build", "-o", m.program, "../../cmd/sealed")
	t.Cleanup(func() { m.sealed("down", "--purge") })
	m.sealed("down", "--purge")
	return m
}

func (m *machine) run(stdin, name string, args ...string) string {
	m.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = m.env()
	out, err := cmd.CombinedOutput()
	require.NoError(m, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

func (m *machine) sealed(args ...string) string {
	m.Helper()
	return m.run("", m.program, append(args, "--name", instance)...)
}

func (m *machine) up() string { m.Helper(); return m.sealed("up", "--skip-images") }

func (m *machine) kubectl(stdin string, args ...string) string {
	m.Helper()
	return m.run(stdin, m.kubectlPath(), args...)
}

func (m *machine) kubectlPath() string {
	return filepath.Join(m.cache, "tools", "kubernetes", "kubectl")
}

func (m *machine) env() []string { return append(os.Environ(), "KUBECONFIG="+m.path("kubeconfig")) }

func (m *machine) path(parts ...string) string {
	return filepath.Join(append([]string{m.cache, "instances", instance}, parts...)...)
}

func (m *machine) pid() int {
	m.Helper()
	i, err := node.Load(m.cache, instance)
	require.NoError(m, err)
	require.NotZero(m, i.PID)
	return i.PID
}

// assertGone fails if anything of the node is left outside its folder.
func (m *machine) assertGone() {
	m.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(m, err)
	for _, e := range entries {
		command, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		assert.NotContains(m, string(command), fullName, "process %s is left", e.Name())
		assert.NotContains(m, string(command), "node-init\x00--name\x00"+instance+"\x00", "process %s is left", e.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(m, err)
	assert.NotContains(m, string(mounts), fullName, "a mount is left")
	assert.NotContains(m, string(mounts), m.path(), "a mount is left")
	assert.False(m, netns.Exists(fullName), "the network namespace is left")
	i, err := node.Load(m.cache, instance)
	require.NoError(m, err)
	if i.Index >= 0 {
		_, err = net.InterfaceByName(i.Link())
		assert.Error(m, err, "the interface is left")
	}
	all, err := cgroup.Hierarchies("/proc/self/mountinfo")
	require.NoError(m, err)
	assert.False(m, cgroup.Exists(all, fullName), "a cgroup is left")
}

// image of the table of upstreams, so that no version is written down twice.
func image(t *testing.T, upstream, name string) string {
	t.Helper()
	content, err := os.ReadFile("../../../gitops/upstream.yaml")
	require.NoError(t, err)
	var table struct {
		Upstreams map[string]struct{ Images map[string]string }
	}
	require.NoError(t, yaml.Unmarshal(content, &table))
	found := table.Upstreams[upstream].Images[name]
	require.NotEmpty(t, found)
	return found
}

func TestNodeRunsPodsAndLeavesNothingHoweverItEnds(t *testing.T) {
	m := newMachine(t)
	m.up()
	passphrase := filepath.Join(m.cache, "passphrases", instance)
	for _, path := range []string{m.path("kubeconfig"), passphrase} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
	}

	begun := time.Now()
	assert.Contains(t, m.up(), "is up and healthy")
	assert.Less(t, time.Since(begun), 3*time.Second, "a node that is up is not waited for")

	m.kubectl(strings.ReplaceAll(podWithVolume, "IMAGE", image(t, "argo-cd", "redis")), "apply", "-f", "-")
	m.kubectl("", "wait", "--for=condition=Ready", "pod/keeper", "--timeout=60s")
	m.kubectl("", "exec", "keeper", "--", "redis-cli", "set", "answer", "42")
	stored, err := filepath.Glob(m.path("volumes", "*", "appendonlydir"))
	require.NoError(t, err)
	assert.Len(t, stored, 1, "a pod that is not root writes to its volume")

	var status node.Status
	require.NoError(t, json.Unmarshal([]byte(m.sealed("status", "-o", "json")), &status))
	assert.True(t, status.Ready)
	for _, p := range status.Processes {
		assert.NotZero(t, p.PID, p.Name)
	}

	t.Log("the node is killed: the next up brings the same cluster back")
	require.NoError(t, syscall.Kill(m.pid(), syscall.SIGKILL))
	m.up()
	// Until the kubelet has looked, pods are as ready as they were before.
	assert.Eventually(t, func() bool {
		cmd := exec.Command(m.kubectlPath(), "exec", "keeper", "--", "redis-cli", "get", "answer")
		cmd.Env = m.env()
		out, err := cmd.CombinedOutput()
		return err == nil && strings.Contains(string(out), "42")
	}, time.Minute, 200*time.Millisecond, "the pod runs again and its volume is kept")

	t.Log("the node is killed: down clears what is left")
	require.NoError(t, syscall.Kill(m.pid(), syscall.SIGKILL))
	begun = time.Now()
	m.sealed("down")
	assert.Less(t, time.Since(begun), 10*time.Second)
	m.assertGone()
	kept, err := os.ReadDir(m.path())
	require.NoError(t, err)
	for _, e := range kept {
		assert.Contains(t, []string{"containerd", "instance.json"}, e.Name(), "belongs to the cluster that ended")
	}

	t.Log("a new cluster knows nothing of the old one")
	m.up()
	assert.Contains(t, m.kubectl("", "get", "pods", "--namespace=default"), "No resources found")
	m.sealed("down", "--purge")
	m.assertGone()
	assert.NoDirExists(t, m.path())
	assert.NoFileExists(t, passphrase)
	assert.NoFileExists(t, m.path()+".lock")
}

func TestUpThatIsKilledAtAnyMomentCanBeRepeatedOrUndone(t *testing.T) {
	m := newMachine(t)
	for n, moment := range []time.Duration{10 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond, time.Second, 3 * time.Second} {
		cmd := exec.Command(m.program, "up", "--skip-images", "--name", instance)
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		if n%2 == 0 {
			m.up()
		}
		m.sealed("down")
		m.assertGone()
	}
}

func TestSecretsAreEncryptedAtRestAndChangesAreKeptWithoutThem(t *testing.T) {
	m := newMachine(t)
	m.up()
	const value = "a-value-that-nobody-else-has"
	m.kubectl("", "create", "secret", "generic", "kept", "--from-literal=value="+value)
	m.kubectl("", "create", "configmap", "kept", "--from-literal=value=in-plain-"+value)
	m.kubectl("", "--as=anna", "--as-group=system:masters", "delete", "configmap", "kept")
	encoded := base64.StdEncoding.EncodeToString([]byte(value))

	found := map[string]bool{}
	require.NoError(t, filepath.WalkDir(m.path("etcd"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		// What is not encrypted is found: the files are the right ones.
		found["plain"] = found["plain"] || bytes.Contains(content, []byte("in-plain-"+value))
		content = bytes.ReplaceAll(content, []byte("in-plain-"+value), nil)
		found["secret"] = found["secret"] || bytes.Contains(content, []byte(value)) || bytes.Contains(content, []byte(encoded))
		return err
	}))
	assert.Equal(t, map[string]bool{"plain": true, "secret": false}, found)

	kept := m.sealed("logs", "audit")
	assert.NotContains(t, kept, value)
	assert.NotContains(t, kept, encoded)
	changes := map[string]bool{}
	for line := range strings.Lines(kept) {
		var event struct {
			Verb             string
			User             struct{ Username string }
			ImpersonatedUser struct{ Username string }
			ObjectRef        struct{ Resource, Name string }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &event), line)
		changes[strings.Join([]string{event.User.Username, event.ImpersonatedUser.Username, event.Verb, event.ObjectRef.Resource, event.ObjectRef.Name}, " ")] = true
		assert.NotContains(t, []string{"get", "list", "watch"}, event.Verb, line)
	}
	assert.Contains(t, changes, "admin  create secrets kept")
	assert.Contains(t, changes, "admin anna delete configmaps kept")

	t.Log("the node is killed: the next one reads what this one wrote")
	key := m.path("pki", "secrets.key")
	before, err := os.ReadFile(key)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(m.pid(), syscall.SIGKILL))
	m.up()
	again, err := os.ReadFile(key)
	require.NoError(t, err)
	assert.Equal(t, before, again, "a new key could not read what the old one wrote")
	assert.Equal(t, encoded, m.kubectl("", "get", "secret", "kept", "-o", "jsonpath={.data.value}"))
}

// A pod is watched from its first moment: policies that take a second to hold let
// it talk to whom they forbid for that second.
func TestAPodReachesWhatNoPolicyAllowsItNotEvenAtItsFirstMoment(t *testing.T) {
	m := newMachine(t)
	m.up()
	m.kubectl("", "create", "namespace", "open")
	m.kubectl(denyAll, "apply", "-f", "-")
	talk := func(namespace, name string) string {
		m.kubectl(strings.NewReplacer("NAMESPACE", namespace, "NAME", name, "IMAGE", image(t, "argo-cd", "redis")).Replace(podThatTalks), "apply", "-f", "-")
		m.kubectl("", "wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/"+name, "--timeout=60s")
		return m.kubectl("", "logs", "-n", namespace, name)
	}
	for _, name := range []string{"first", "second", "third"} {
		assert.NotContains(t, talk("default", name), "reached", "a policy forbids it")
	}
	assert.Contains(t, talk("open", "fourth"), "reached", "no policy forbids it")

	t.Log("a new pod that may reach nobody tries whom everybody may reach")
	apply := func(pod, namespace, name string) {
		m.kubectl(strings.NewReplacer("NAMESPACE", namespace, "NAME", name, "IMAGE", image(t, "argo-cd", "redis")).Replace(pod), "apply", "-f", "-")
	}
	serve := func(namespace, name string) string {
		apply(podThatServes, namespace, name)
		m.kubectl("", "wait", "-n", namespace, "--for=condition=Ready", "pod/"+name, "--timeout=60s")
		return m.kubectl("", "get", "-n", namespace, "pod/"+name, "-o", "jsonpath={.status.podIP}")
	}
	hammered := func(namespace, name string) string {
		m.kubectl("", "wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/"+name, "--timeout=60s")
		said := m.kubectl("", "logs", "-n", namespace, name)
		assert.Regexp(t, `tried \S+ [1-9]\d{2,} times`, said)
		return said
	}
	open := serve("open", "server")
	// The kernel gives every interface an address that no policy is about.
	raw, err := hex.DecodeString(strings.Fields(m.kubectl("", "exec", "-n", "open", "server", "--", "grep", "eth0", "/proc/net/if_inet6"))[0])
	require.NoError(t, err)
	link := net.IP(raw)
	require.True(t, link.IsLinkLocalUnicast(), link)
	attacks := map[string]string{"hammer-first": open, "hammer-second": open, "hammer-third": open, "hammer-link": link.String() + "%eth0"}
	for name, address := range attacks {
		apply(strings.ReplaceAll(podThatHammers, "ADDRESS", address), "default", name)
	}
	apply(strings.ReplaceAll(podThatHammers, "ADDRESS", open), "open", "hammer-fourth")
	for name := range attacks {
		assert.NotContains(t, hammered("default", name), "reached", "a policy forbids it")
	}
	assert.Contains(t, hammered("open", "hammer-fourth"), "reached", "no policy forbids it")

	t.Log("who may reach everybody tries a new pod that nobody may reach, whose address can be foretold")
	for _, namespace := range []string{"default", "open"} {
		apply(strings.ReplaceAll(podThatHammers, "ADDRESS", "${POD_IP%.*}.$((${POD_IP##*.} + 1))"), "open", "foretells-"+namespace)
		m.kubectl("", "wait", "-n", "open", "--for=jsonpath={.status.phase}=Running", "pod/foretells-"+namespace, "--timeout=60s")
		address := serve(namespace, "foretold")
		said := hammered("open", "foretells-"+namespace)
		require.Contains(t, said, "tried "+address+" ", "another address was tried")
		assert.Equal(t, namespace == "open", strings.Contains(said, "reached"), "in namespace %s: %s", namespace, said)
	}

	t.Log("nobody judges: nothing new is let through, what is judged later is")
	var status node.Status
	require.NoError(t, json.Unmarshal([]byte(m.sealed("status", "-o", "json")), &status))
	router := 0
	for _, p := range status.Processes {
		if p.Name == "kube-router" {
			router = p.PID
		}
	}
	require.NotZero(t, router)
	require.NoError(t, syscall.Kill(router, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(router, syscall.SIGCONT) })
	assert.NotContains(t, talk("open", "fifth"), "reached")
	require.NoError(t, syscall.Kill(router, syscall.SIGCONT))
	assert.Contains(t, talk("open", "sixth"), "reached")
}

const denyAll = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: nothing
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
`

const podThatTalks = `
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  namespace: NAMESPACE
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers:
    - name: talk
      image: IMAGE
      command: [bash, -c]
      args:
        - |
          for i in {1..10}; do
            timeout 1 bash -c "exec 3<>/dev/tcp/$KUBERNETES_SERVICE_HOST/443" 2>/dev/null && { echo reached; exit; }
            sleep 0.1
          done
          echo refused
`

const podThatServes = `
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  namespace: NAMESPACE
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers:
    - name: serve
      image: IMAGE
      command: [redis-server, --protected-mode, "no", --save, ""]
`

// podThatHammers begins a connection to each address every 10 ms for 5 s, and waits a
// fifth of a second at most for any.
const podThatHammers = `
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  namespace: NAMESPACE
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers:
    - name: hammer
      image: IMAGE
      command: [bash, -c]
      env:
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
      args:
        - |
          begun=${EPOCHREALTIME/./} to=ADDRESS waiting=()
          for ((i = 0; ${EPOCHREALTIME/./} - begun < 5000000; i++)); do
            (exec 3<>/dev/tcp/$to/6379 && echo reached after $(((${EPOCHREALTIME/./} - begun) / 1000)) ms) 2>/dev/null &
            waiting+=($!)
            if ((i >= 20)); then kill ${waiting[0]} 2>/dev/null; waiting=(${waiting[@]:1}); fi
            sleep 0.01
          done
          echo tried $to $i times
`

const podWithVolume = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: keeper
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 1Gi
---
apiVersion: v1
kind: Pod
metadata:
  name: keeper
spec:
  terminationGracePeriodSeconds: 1
  securityContext:
    runAsNonRoot: true
    runAsUser: 12345
  containers:
    - name: redis
      image: IMAGE
      command: [redis-server, --dir, /data, --appendonly, "yes", --appendfsync, always]
      readinessProbe:
        exec:
          command: [redis-cli, ping]
        periodSeconds: 1
      volumeMounts:
        - name: data
          mountPath: /data
  volumes:
    - name: data
      persistentVolumeClaim:
        claimName: keeper
`
