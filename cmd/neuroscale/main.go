// Command neuroscale brings the platform up, shows what a change would do, asks
// endpoints for predictions and measures it all.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/term"

	"github.com/neuroscale-platform/neuroscale/stacks"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second ctrl-C ends the program at once. One that comes with the first is
	// the same: timeout(1), for one, signals the process and then its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv,
		terminal: term.IsTerminal(int(os.Stderr.Fd())), askable: term.IsTerminal(int(os.Stdin.Fd())),
		screen: term.IsTerminal(int(os.Stdout.Fd())),
	}
	a.program = a.run
	return a.main(ctx, os.Args[1:])
}

// run is the program with the checkout that the command line names: Pulumi's own
// idea of it is a copy of the project's file.
func (a *app) run(ctx *pulumi.Context) error {
	project, err := a.project()
	if err != nil {
		return err
	}
	return stacks.New(stacks.Options{Checkout: project.Root})(ctx)
}

// main runs one command line and returns the exit code: 0 only if everything
// asked for holds. The error is printed here and nowhere else.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(a.err, "neuroscale:", err)
	if errors.Is(err, context.Canceled) {
		return 130
	}
	return 1
}
