package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/cgroup"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/pki"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/process"
)

// secrets creates certificates, kubeconfig, passphrase and state folder, those
// of them that are not there. Certificates are signed by the authorities in a folder,
// or by new ones if it is empty.
func secrets(i *Instance, authorities string) error {
	for _, dir := range []string{i.LogDir(), i.StateDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create %s: %w", dir, err)
		}
	}
	err := pki.Ensure(i.Path("pki"), pki.Request{Cluster: i.FullName(), Server: i.APIServer(), Node: i.FullName(),
		NodeIP: i.NodeIP(), ServiceIP: net.ParseIP(ServiceIP), Domain: Domain, Authorities: authorities})
	if err != nil {
		return err
	}
	if err := pki.EnsureSecretsKey(i.Path("pki")); err != nil {
		return err
	}
	admin, err := os.ReadFile(i.Path("pki", pki.Admin+".kubeconfig"))
	if err != nil {
		return fmt.Errorf("read the administrator's kubeconfig: %w", err)
	}
	if err := writeFile(i.Kubeconfig(), admin, 0o600); err != nil {
		return err
	}
	return ensurePassphrase(i)
}

// ensurePassphrase makes the passphrase once, or moves the one that an earlier
// version made.
func ensurePassphrase(i *Instance) error {
	if _, err := os.Stat(i.Passphrase()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(i.Passphrase()), 0o700); err != nil {
		return fmt.Errorf("create the passphrase's folder: %w", err)
	}
	// Read and written, as they may be on two disks.
	former, err := os.ReadFile(i.formerPassphrase())
	if err == nil {
		if err := writeFile(i.Passphrase(), former, 0o600); err != nil {
			return fmt.Errorf("move the passphrase: %w", err)
		}
		return os.Remove(i.formerPassphrase())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("move the passphrase: %w", err)
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("make a passphrase: %w", err)
	}
	return writeFile(i.Passphrase(), []byte(hex.EncodeToString(random)+"\n"), 0o600)
}

// launch starts the node's first process. It begins its work only when its pid
// has been written down, so that a later command always finds it.
func launch(i *Instance) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(i.LogDir(), "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open log of the node: %w", err)
	}
	defer log.Close()
	wait, begin, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("create pipe: %w", err)
	}
	defer wait.Close()
	defer begin.Close()
	cmd := exec.Command(self, "node-init", "--name", i.Name)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NEUROSCALE_CACHE=" + i.cache}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS,
	}
	if err := netns.Do(i.FullName(), cmd.Start); err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	ticks, alive := process.StartTime(cmd.Process.Pid)
	if !alive {
		return fmt.Errorf("the node ended at once: see %s", log.Name())
	}
	i.PID, i.StartTime = cmd.Process.Pid, ticks
	if err := i.Save(); err != nil {
		return err
	}
	all, err := cgroup.Hierarchies(mountinfo)
	if err != nil {
		return err
	}
	if err := cgroup.Join(all, i.FullName(), i.PID); err != nil {
		return err
	}
	if _, err := begin.Write([]byte{1}); err != nil {
		return fmt.Errorf("begin node: %w", err)
	}
	return nil
}
