package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/internal/forward"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// forwardReport is one line of what `forward` prints, and its -o json.
type forwardReport struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// InsteadOf is the local port it usually has, TakenBy who has that.
	InsteadOf int    `json:"insteadOf,omitempty"`
	TakenBy   string `json:"takenBy,omitempty"`
	SignIn    string `json:"signIn,omitempty"`
}

// signIn says where the credentials of what is forwarded are.
var signIn = map[string]string{
	"argocd":  "user admin, `neuroscale passwords show admin`",
	"forge":   "`neuroscale passwords`",
	"gateway": "`neuroscale keys create`",
}

func (a *app) forwardCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "forward [NAME...]",
		Short: "Make the platform's services answer on loopback, until ctrl-C",
		Example: "  neuroscale forward\n" +
			"  neuroscale forward gateway forge",
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.forward(cmd.Context(), names, format)
		},
	}
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) forward(ctx context.Context, names []string, format string) error {
	out, cluster, err := a.deployed(ctx)
	if err != nil {
		return err
	}
	targets, err := named(out.Forwards, names)
	if err != nil {
		return err
	}
	listeners, err := forward.Listen(targets)
	if err != nil {
		return err
	}
	var reports []forwardReport
	for _, l := range listeners {
		scheme := "http"
		if l.TLS {
			scheme = "https"
		}
		r := forwardReport{Name: l.Name, URL: fmt.Sprintf("%s://127.0.0.1:%d", scheme, l.Listening), SignIn: signIn[l.Name]}
		if l.TakenBy != "" {
			r.InsteadOf, r.TakenBy = l.LocalPort, l.TakenBy
		}
		reports = append(reports, r)
	}
	if format == "json" {
		err = writeJSON(a.out, reports)
	} else {
		err = printForwards(a.out, reports)
	}
	if err != nil {
		return err
	}
	forward.Serve(ctx, listeners, func(ctx context.Context, t forward.Target) (forward.Conn, error) {
		pod, port, err := kube.PodOf(ctx, cluster.Dynamic, t.Namespace, t.Service, t.Port)
		if err != nil {
			return nil, err
		}
		connection, err := cluster.Dial(ctx, t.Namespace, pod, port)
		if err != nil {
			return nil, err
		}
		return connection, nil
	}, a.log())
	return nil
}

// named are the forwards of those names, or all of them.
func named(all []forward.Target, names []string) ([]forward.Target, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, t := range all {
		known = append(known, t.Name)
	}
	var list []forward.Target
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("nothing is called %q%s: there are %s", name, nearest.Hint(name, known), strings.Join(known, ", "))
		}
		list = append(list, all[i])
	}
	return list, nil
}

func printForwards(w io.Writer, reports []forwardReport) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range reports {
		instead := ""
		if r.InsteadOf != 0 {
			instead = fmt.Sprintf("instead of %d, which %s has", r.InsteadOf, r.TakenBy)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.Name, r.URL, r.SignIn, instead)
	}
	return t.Flush()
}
