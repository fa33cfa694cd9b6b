// Command release makes what a release consists of, and puts its images where they
// are published:
//
//	release build -version v1.2.3 -out dist -kyverno FILE... -uplot FILE
//	release push -out dist
//
// Build needs no account and no network but the Go modules, and makes the same bytes
// of the same commit wherever it runs. It looks at what it made before it says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one that is being made.
type release struct {
	// repo is the checkout, out the folder it is made in.
	repo, out string
	// version of the command line, commit that all is made of.
	version, commit string
	// kyverno are Kyverno's command lines by platform, for the guard's image.
	kyverno map[platform]string
	// uplot are uPlot's files by their paths in the dashboards' image.
	uplot map[string][]byte
	// incomplete leaves a platform out of an image that has no program for it.
	incomplete bool
	// reproduce compiles once more from another folder.
	reproduce bool
	log       io.Writer
}

// semantic is a version as Go modules have it.
var semantic = regexp.MustCompile(`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)

func run(ctx context.Context, args []string, log io.Writer) error {
	if len(args) == 0 || args[0] != "build" && args[0] != "push" {
		return errors.New("there are `release build` and `release push`")
	}
	r := &release{log: log}
	var kyverno files
	var uplot string
	flags := flag.NewFlagSet("release "+args[0], flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&r.out, "out", "dist", "folder of the release")
	if args[0] == "build" {
		flags.StringVar(&r.repo, "repo", ".", "the checkout")
		flags.StringVar(&r.version, "version", "", "version of the command line, such as v1.2.3")
		flags.StringVar(&r.commit, "commit", "", "commit it is made of (default: that of the checkout)")
		flags.Var(&kyverno, "kyverno", "Kyverno's command line for a platform, one each")
		flags.StringVar(&uplot, "uplot", "", "uPlot's npm package, for the dashboards' image")
		flags.BoolVar(&r.incomplete, "incomplete", false, "leave out of an image the platforms that have no Kyverno")
		flags.BoolVar(&r.reproduce, "reproduce", false, "compile once more from another folder and compare")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no arguments, only flags: remove %q", flags.Name(), strings.Join(flags.Args(), " "))
	}
	if args[0] == "push" {
		return r.push(ctx)
	}
	if !semantic.MatchString(r.version) {
		return fmt.Errorf("-version is %q: write one such as v1.2.3", r.version)
	}
	if r.commit == "" {
		out, err := r.output(ctx, "git", "-C", r.repo, "rev-parse", "HEAD")
		if err != nil {
			return err
		}
		r.commit = strings.TrimSpace(string(out))
	}
	var err error
	if r.kyverno, err = byPlatform(kyverno); err != nil {
		return err
	}
	return r.build(ctx, uplot)
}

// files is a flag that may be given several times.
type files []string

func (f *files) String() string { return strings.Join(*f, " ") }

func (f *files) Set(value string) error {
	*f = append(*f, value)
	return nil
}

// build makes everything in an empty folder, with uPlot's npm package of a file.
func (r *release) build(ctx context.Context, uplot string) error {
	var err error
	if r.repo, err = filepath.Abs(r.repo); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	if entries, err := os.ReadDir(r.out); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: a release is made in a folder of its own, remove it or name another with -out", r.out)
	}
	if r.uplot, err = readUPlot(r.repo, uplot); err != nil {
		return err
	}
	pins, err := readPins(r.repo)
	if err != nil {
		return err
	}
	commandLine, inImages, err := r.programs(pins)
	if err != nil {
		return err
	}
	for _, p := range append(commandLine, inImages...) {
		if err := r.compile(ctx, r.repo, p); err != nil {
			return err
		}
	}
	if r.reproduce {
		if err := r.again(ctx, commandLine); err != nil {
			return err
		}
	}
	for _, p := range commandLine {
		if err := r.archive(p); err != nil {
			return err
		}
	}
	if err := r.images(pins); err != nil {
		return err
	}
	if err := r.boms(ctx, append(commandLine, inImages...)); err != nil {
		return err
	}
	if err := r.says(ctx, commandLine); err != nil {
		return err
	}
	if err := r.checksums(); err != nil {
		return err
	}
	// They are in the archives and images.
	return os.RemoveAll(filepath.Join(r.out, "bin"))
}

// platform is an operating system and a processor.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

var (
	platforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}
	host      = platform{runtime.GOOS, runtime.GOARCH}
)

// output runs a program and returns what it prints.
func (r *release) output(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = r.log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return out, nil
}

func (r *release) say(format string, args ...any) {
	fmt.Fprintf(r.log, "release: "+format+"\n", args...)
}
