package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release and commit are those of a released program, which is linked with them; any
// other one has what Go noted when it was built.
var release, commit string

type versionReport struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"`
	Go      string `json:"go"`
	// Pulumi is the executable's version, empty if there is none.
	Pulumi string `json:"pulumi,omitempty"`
	SDK    string `json:"pulumiSdk,omitempty"`
}

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program and of what it runs",
		Example: "  neuroscale version -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := version(cmd.Context())
			if format == "json" {
				return writeJSON(a.out, v)
			}
			pulumi := v.Pulumi
			if pulumi == "" {
				pulumi = "not installed"
			}
			_, err := fmt.Fprintf(a.out, "neuroscale %s\ncommit     %s\ngo         %s\npulumi     %s\n", v.Version, v.Commit, v.Go, pulumi)
			return err
		},
	}
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func version(ctx context.Context) versionReport {
	v := versionReport{Version: "(devel)", Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Dirty = s.Value == "true"
			}
		}
		for _, d := range info.Deps {
			if d.Path == "github.com/pulumi/pulumi/sdk/v3" {
				v.SDK = d.Version
			}
		}
	}
	if release != "" {
		v.Version, v.Commit, v.Dirty = release, commit, false
	}
	if out, err := exec.CommandContext(ctx, "pulumi", "version").Output(); err == nil {
		v.Pulumi = strings.TrimSpace(string(out))
	}
	return v
}
