package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

var stateUnreadable = Detector{
	ID: "state-unreadable", Offline: true, First: true,
	Symptom: "Every command says that it cannot read the stack's outputs.",
	Cause:   "The state is encrypted and its passphrase is lost or another one, the backend does not answer, or the stack was never brought up to its end.",
	ByHand: "Put the passphrase's file back from a backup, or name it with `PULUMI_CONFIG_PASSPHRASE_FILE`; on a sealed machine, was `eval \"$(bin/sealed env)\"` run for this instance? " +
		"If the stack was never up, `neuroscale up`.",
	Look: func(_ context.Context, p *Platform) ([]Finding, error) {
		if p.StateError == nil {
			return nil, nil
		}
		return []Finding{{
			Says: fmt.Sprintf("the outputs of stack %s cannot be read", p.Stack), Object: "stack " + p.Stack, Saw: sentence(p.StateError.Error()),
		}}, nil
	},
}

// longRun is how long an operation may have the stack's lock before somebody should
// look.
const longRun = time.Hour

var stateLocked = Detector{
	ID: "state-locked", Offline: true,
	Symptom: "`up`, `preview` and `destroy` wait, then say that the stack is locked.",
	Cause:   "A run was killed and its lock stayed, or one has been at work for more than an hour.",
	Repair:  "Removes a lock whose process is certainly gone. One of a live process, or of another machine, stays.",
	ByHand:  "`up` releases a dead run's lock by itself. For a live one: wait for it to end, or interrupt it with `kill -INT PID`. One of another machine that is certainly gone: `pulumi cancel`.",
	Look: func(_ context.Context, p *Platform) ([]Finding, error) {
		locks, err := p.State.Locks()
		var found []Finding
		for _, l := range locks {
			f := Finding{Object: "lock of stack " + p.Stack, Saw: l.Holder}
			switch {
			case l.Ended:
				f.Says = fmt.Sprintf("stack %s is locked by a run that was killed", p.Stack)
				f.Doing, f.Fix = "remove the lock of "+l.Holder, p.State.Release
			case time.Since(l.Since) > longRun:
				f.Says = fmt.Sprintf("stack %s has been locked for %s", p.Stack, time.Since(l.Since).Round(time.Minute))
			default:
				continue // somebody is at work
			}
			found = append(found, f)
		}
		return found, err
	},
}

var statePending = Detector{
	ID: "state-pending", Offline: true, Follows: []string{stateLocked.ID},
	Symptom: "`pulumi` warns of pending operations, `up` says that an earlier run was killed and does something again.",
	Cause:   "A run was killed in the middle of an operation, and the state does not know how that ended.",
	Repair:  "Takes the operations out of the state. The next `up` does them again, which adopts what is there.",
	ByHand:  "`neuroscale up` does the same by itself.",
	Look: func(_ context.Context, p *Platform) ([]Finding, error) {
		pending, err := p.State.Pending()
		if err != nil || len(pending) == 0 {
			return nil, err
		}
		locks, err := p.State.Locks()
		if err != nil || slices.ContainsFunc(locks, func(l automation.Lock) bool { return !l.Ended }) {
			return nil, err // somebody is at it
		}
		return []Finding{{
			Says:   fmt.Sprintf("a killed run left %d operations pending in the state of stack %s", len(pending), p.Stack),
			Object: "state of stack " + p.Stack, Saw: sentence(strings.Join(pending, ", ")),
			Doing: "take them out of the state", Fix: p.State.ClearPending,
		}}, nil
	},
}

var otherCluster = Detector{
	ID: "other-cluster", Offline: true,
	Symptom: "The cluster does not answer, or is not believed, although it runs; `up` wants to make everything anew.",
	Cause:   "The state is that of an earlier cluster: the kubeconfig of the settings names another server, or the same one with another authority.",
	ByHand: "Point `KUBECONFIG` at the stack's cluster again. If that is gone for good: `neuroscale destroy --unreachable`, then `neuroscale up`. " +
		"A sealed node takes its state with it: `bin/sealed down`, then `make up`.",
	Look: func(_ context.Context, p *Platform) ([]Finding, error) {
		if p.Outputs == nil || p.Chosen == nil {
			return nil, nil
		}
		ours := p.Cluster.Kubeconfig
		f := Finding{Object: "kubeconfig " + p.Chosen.Source}
		switch {
		case ours.Server != p.Chosen.Server:
			f.Says = fmt.Sprintf("stack %s is on the cluster at %s, and the kubeconfig points at another one", p.Stack, ours.Server)
			f.Saw = fmt.Sprintf("its context %s is at %s", p.Chosen.Context, p.Chosen.Server)
		case len(ours.Authority) > 0 && !bytes.Equal(ours.Authority, p.Chosen.Authority):
			f.Says = fmt.Sprintf("stack %s was on an earlier cluster at %s", p.Stack, ours.Server)
			f.Saw = "another authority signs the API server's certificate now"
		default:
			return nil, nil
		}
		return []Finding{f}, nil
	},
}

// nearly is the part of a limit, in percent, from which on it is too low.
const nearly = 90

var limitsTooLow = Detector{
	ID:      "limits-too-low",
	Symptom: "Pods end with `too many open files` or `inotify_init: no space left`, containers cannot be watched, logs do not follow.",
	Cause:   "A node runs on this machine, and its kernel lets one user have too few inotify instances or open files: nearly all are taken.",
	ByHand: "As root: `sysctl -w fs.inotify.max_user_instances=8192`, `sysctl -w fs.inotify.max_user_watches=524288` or `sysctl -w fs.file-max=2097152`. " +
		"Written to a file in `/etc/sysctl.d` it outlives a restart.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		here, err := p.nodeHere(ctx)
		if err != nil || here == "" {
			return nil, err
		}
		var found []Finding
		for _, limit := range []struct {
			what, file string
			used       func() (int, error)
		}{
			{"inotify instances of a user", "sys/fs/inotify/max_user_instances", p.inotifyInstances},
			{"open files", "sys/fs/file-max", p.openFiles},
		} {
			raw, err := os.ReadFile(filepath.Join(p.Proc, limit.file))
			if err != nil {
				return found, fmt.Errorf("read a limit of this machine: %w", err)
			}
			most, err := strconv.Atoi(strings.TrimSpace(string(raw)))
			if err != nil {
				continue // more than a number can say
			}
			used, err := limit.used()
			if err != nil {
				return found, err
			}
			if used*100 >= most*nearly {
				found = append(found, Finding{
					Says:   fmt.Sprintf("this machine, on which node %s runs, has hardly any %s left", here, limit.what),
					Object: "/proc/" + limit.file, Saw: fmt.Sprintf("%d of %d are taken", used, most),
				})
			}
		}
		return found, nil
	},
}

// nodeHere is the node that this machine's kernel runs; empty if none is.
func (p *Platform) nodeHere(ctx context.Context) (string, error) {
	raw, err := os.ReadFile(filepath.Join(p.Proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return "", nil // another system than Linux
	}
	list, err := p.list(ctx, kube.Nodes, "", "")
	for i := range list {
		if kube.Text(list[i].Object, "status", "nodeInfo", "bootID") == strings.TrimSpace(string(raw)) {
			return list[i].GetName(), nil
		}
	}
	return "", err
}

// inotifyInstances is how many there are of the user that has most. Processes of
// others are only seen by root.
func (p *Platform) inotifyInstances() (int, error) {
	processes, err := os.ReadDir(p.Proc)
	if err != nil {
		return 0, fmt.Errorf("look at this machine's processes: %w", err)
	}
	of := map[uint32]int{}
	for _, process := range processes {
		if _, err := strconv.Atoi(process.Name()); err != nil {
			continue
		}
		owner, known := ownerOf(filepath.Join(p.Proc, process.Name()))
		files, err := os.ReadDir(filepath.Join(p.Proc, process.Name(), "fd"))
		if err != nil || !known {
			continue // it has ended, or is somebody else's
		}
		for _, file := range files {
			if to, err := os.Readlink(filepath.Join(p.Proc, process.Name(), "fd", file.Name())); err == nil && to == "anon_inode:inotify" {
				of[owner]++
			}
		}
	}
	most := 0
	for _, n := range of {
		most = max(most, n)
	}
	return most, nil
}

func (p *Platform) openFiles() (int, error) {
	raw, err := fs.ReadFile(os.DirFS(p.Proc), "sys/fs/file-nr")
	if err != nil {
		return 0, fmt.Errorf("read how many files are open: %w", err)
	}
	fields := strings.Fields(string(raw))
	if len(fields) == 0 {
		return 0, nil
	}
	return strconv.Atoi(fields[0])
}
