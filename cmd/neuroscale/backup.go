package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/internal/backup"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

// passphraseVariable names the environment variable of a backup's passphrase.
const passphraseVariable = "NEUROSCALE_BACKUP_PASSPHRASE"

// dataPatience is how long the pod that holds the forge's volume may take to run.
const dataPatience = 2 * time.Minute

// backupReport is what `backup` prints, and its -o json.
type backupReport struct {
	File    string  `json:"file"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func (a *app) backupCommand() *cobra.Command {
	var passphraseFile, format string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that was merged, everybody's account and the platform's secrets to one encrypted file",
		Example: "  neuroscale backup platform.backup\n" +
			"  neuroscale backup platform.backup --passphrase-file /run/secrets/backup -o json",
		Args: exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			passphrase, err := a.passphrase(passphraseFile)
			if err != nil {
				return err
			}
			report, err := a.backup(cmd.Context(), args[0], passphrase)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, report)
			}
			_, err = fmt.Fprintf(a.out, "%s: stack %s in %d bytes, %.1fs\n", report.File, a.stack, report.Bytes, report.Seconds)
			return err
		},
	}
	passphraseFlag(cmd, &passphraseFile)
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) restoreCommand() *cobra.Command {
	var passphraseFile, format string
	var f upFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring a platform up with what a backup has, on a cluster without one",
		Example: "  neuroscale restore platform.backup\n" +
			"  neuroscale restore platform.backup -s ci --passphrase-file /run/secrets/backup",
		Args: exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			passphrase, err := a.passphrase(passphraseFile)
			if err != nil {
				return err
			}
			report, err := a.restore(cmd.Context(), args[0], passphrase, f)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, report)
			}
			return report.print(a.out)
		},
	}
	passphraseFlag(cmd, &passphraseFile)
	cmd.Flags().BoolVar(&f.skipPredict, "skip-predict", false, "do not ask an endpoint at the end")
	cmd.Flags().DurationVar(&f.timeout, "predict-timeout", 3*time.Minute, "how long an endpoint that is there may take to answer")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func passphraseFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "passphrase-file", "", "file with the backup's passphrase; else $"+passphraseVariable+", else it is asked for")
}

// passphrase is that of a backup: from a file, the environment or the terminal.
func (a *app) passphrase(file string) (string, error) {
	var passphrase string
	switch {
	case file != "":
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the backup's passphrase (--passphrase-file): %w", err)
		}
		passphrase = strings.TrimRight(string(raw), "\r\n")
	case a.getenv(passphraseVariable) != "":
		passphrase = a.getenv(passphraseVariable)
	case a.askable:
		fmt.Fprint(a.err, "Passphrase of the backup: ")
		raw, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("read the backup's passphrase: %w", err)
		}
		passphrase = string(raw)
	default:
		return "", fmt.Errorf("a backup has a passphrase and there is no terminal to ask on: set --passphrase-file or %s", passphraseVariable)
	}
	return passphrase, backup.CheckPassphrase(passphrase)
}

func (a *app) backup(ctx context.Context, file, passphrase string) (report backupReport, err error) {
	start := time.Now()
	if _, err := os.Stat(file); err == nil {
		return report, fmt.Errorf("%s exists: a backup overwrites nothing, name another file", file)
	}
	cfg, err := a.config()
	if err != nil {
		return report, err
	}
	images, err := stacks.Pinned(cfg)
	if err != nil {
		return report, err
	}
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return report, err
	}
	_, cluster, err := a.deployed(ctx)
	if err != nil {
		return report, err
	}
	secrets, err := stack.Secrets(ctx)
	if err != nil {
		return report, err
	}
	node, err := forgeNode(ctx, cluster)
	if err != nil {
		return report, err
	}
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return report, fmt.Errorf("create the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	manifest := backup.Manifest{Stack: a.stack, Created: start.UTC().Truncate(time.Second), Organization: cfg.Forge.Organization, Forge: images.Gitea}
	err = cluster.BorrowPod(ctx, object(forge.DataPod(images.Python, node)), dataPatience, func() error {
		return piped(func(w io.Writer) error {
			return cluster.Exec(ctx, forge.Namespace, forge.DataPodName, forge.SaveData(), nil, w)
		}, func(r io.Reader) error {
			return backup.Write(out, passphrase, manifest, secrets, r)
		})
	})
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return report, fmt.Errorf("back up stack %s: %w", a.stack, err)
	}
	info, err := os.Stat(part)
	if err != nil {
		return report, err
	}
	if err := os.Rename(part, file); err != nil {
		return report, fmt.Errorf("publish the backup: %w", err)
	}
	return backupReport{File: file, Bytes: info.Size(), Seconds: time.Since(start).Seconds()}, nil
}

func (a *app) restore(ctx context.Context, file, passphrase string, f upFlags) (*upReport, error) {
	cfg, cluster, err := a.adopted(ctx)
	if err != nil {
		return nil, err
	}
	if cluster == nil {
		return nil, fmt.Errorf("neuroscale:cluster.provider of stack %s is %q: write %q, a backup is restored onto a cluster that is there before the platform",
			a.stack, cfg.Cluster.Provider, config.ProviderExisting)
	}
	images, err := stacks.Pinned(cfg)
	if err != nil {
		return nil, err
	}
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return nil, err
	}
	if stack.Exists() {
		return nil, fmt.Errorf("stack %s is there already: a backup is restored where no platform is, "+
			"`neuroscale destroy -s %s --remove` takes this one away", a.stack, a.stack)
	}
	// The whole of it, before anything is made.
	manifest, secrets, err := readBackup(file, passphrase, io.Discard)
	if err != nil {
		return nil, err
	}
	switch {
	case manifest.Stack != a.stack:
		return nil, fmt.Errorf("%s is of stack %s: restore it with -s %s", file, manifest.Stack, manifest.Stack)
	case manifest.Organization != cfg.Forge.Organization:
		return nil, fmt.Errorf("neuroscale:forge.organization is %q: write %q, the repositories in %s are that one's",
			cfg.Forge.Organization, manifest.Organization, file)
	}
	for _, o := range forge.Data(cfg.Forge.Storage, cfg.Cluster.StorageClass) {
		if err := cluster.Apply(ctx, object(o)); err != nil {
			return nil, err
		}
	}
	err = cluster.BorrowPod(ctx, object(forge.DataPod(images.Python, "")), dataPatience, func() error {
		return piped(func(w io.Writer) error {
			_, _, err := readBackup(file, passphrase, w)
			return err
		}, func(r io.Reader) error {
			return cluster.Exec(ctx, forge.Namespace, forge.DataPodName, forge.LoadData(), r, io.Discard)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("restore the forge of stack %s: %w", a.stack, err)
	}
	if err := stack.Adopt(ctx, secrets); err != nil {
		return nil, err
	}
	report, err := a.up(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("the backup is restored, `neuroscale up -s %s` goes on from here: %w", a.stack, err)
	}
	return report, nil
}

func readBackup(file, passphrase string, data io.Writer) (backup.Manifest, []byte, error) {
	in, err := os.Open(file)
	if err != nil {
		return backup.Manifest{}, nil, fmt.Errorf("open the backup: %w", err)
	}
	defer in.Close()
	manifest, secrets, err := backup.Read(in, passphrase, data)
	if err != nil {
		return manifest, nil, fmt.Errorf("read %s: %w", file, err)
	}
	return manifest, secrets, nil
}

// forgeNode is the node that the forge runs on.
func forgeNode(ctx context.Context, cluster *kube.Cluster) (string, error) {
	list, err := cluster.Dynamic.Resource(kube.Pods).Namespace(forge.Namespace).List(ctx, metav1.ListOptions{LabelSelector: forge.PodLabels})
	if err != nil {
		return "", fmt.Errorf("look for the forge: %w", err)
	}
	for _, p := range list.Items {
		if node := kube.Text(p.Object, "spec", "nodeName"); node != "" && p.GetDeletionTimestamp() == nil {
			return node, nil
		}
	}
	return "", fmt.Errorf("the forge does not run: namespace %s has no pod %s on a node", forge.Namespace, forge.PodLabels)
}

// piped runs both at once, the second with what the first writes. Of two errors the
// first is the cause.
func piped(write func(io.Writer) error, read func(io.Reader) error) error {
	r, w := io.Pipe()
	var once sync.Once
	var cause error
	ended := func(err error) {
		if err != nil {
			once.Do(func() { cause = err })
		}
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		err := write(w)
		ended(err)
		w.CloseWithError(err)
	}()
	err := read(r)
	ended(err)
	r.CloseWithError(err)
	<-written
	return cause
}

// object is a manifest as the API's clients take it.
func object(o map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: o}
}
