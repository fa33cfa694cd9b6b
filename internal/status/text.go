package status

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
)

// nearlyFull is the percentage of a quota from which on people are told.
const nearlyFull = 80

// advice is what to do about what is wrong, a sentence for each.
func (r *Report) advice() []string {
	next := []string{}
	say := func(format string, values ...any) { next = append(next, fmt.Sprintf(format, values...)) }
	for _, n := range r.Nodes {
		switch {
		case !n.Ready:
			say("node %s is not ready: see `kubectl describe node %s`, or on a sealed machine `sealed status`", n.Name, n.Name)
		case len(n.Pressure) > 0:
			say("node %s has %s: see `kubectl describe node %s` and free what is short", n.Name, strings.Join(n.Pressure, ", "), n.Name)
		case n.Closed:
			say("node %s takes no new pods: open it with `kubectl uncordon %s`", n.Name, n.Name)
		}
	}
	if len(r.Nodes) == 0 {
		say("the cluster has no node: start one, on a sealed machine with `make up`")
	}
	up := "neuroscale up -s " + r.Stack
	for _, c := range r.Certificates {
		switch {
		case !r.now.Before(c.Ends):
			say("the certificate of %s has ended: %s", c.Name, c.How)
		case !r.now.Before(c.Renew):
			say("the certificate of %s ends in %s: %s", c.Name, days(c.Ends.Sub(r.now)), c.How)
		}
	}
	for _, l := range r.Layers {
		switch {
		case l.Why == "":
		case l.ByProgram:
			say("layer %s is not healthy (%s): if it stays so, run `%s`", l.Name, l.Why, up)
		case l.Commit == "" && !l.Synced && l.Since == nil || l.Synced && l.Healthy:
			say("layer %s is not as wanted (%s): run `%s`", l.Name, l.Why, up)
		default:
			say("layer %s is not well (%s): see `kubectl describe application %s -n argocd`", l.Name, l.Why, l.Name)
		}
	}
	for _, t := range r.Tenants {
		if t.Why != "" {
			say("tenant %s has no quota in force (%s): run `%s`", t.Name, t.Why, up)
		}
	}
	for _, f := range r.Folders {
		say("folder %s of tenant %s is not in the cluster as it is in Git (%s): see `kubectl describe application %s -n argocd`",
			f.Application, f.Tenant, f.Why, f.Application)
	}
	for _, e := range r.Endpoints {
		if !e.Ready {
			say("endpoint %s of tenant %s is not ready: see why with `neuroscale endpoints %s -n %s`", e.Name, e.Tenant, e.Name, e.Tenant)
		}
	}
	return next
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LAYER\tVERSION\tWANTED\tRUNNING\tCOMMIT\tSYNCED\tHEALTHY\tSINCE")
	for _, l := range r.Layers {
		synced := yes(l.Synced)
		if l.ByProgram {
			synced = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, cmp.Or(l.Version, "-"), cmp.Or(l.Wanted, "-"), cmp.Or(l.Running, "-"),
			cmp.Or(short(l.Commit), "-"), synced, yes(l.Healthy), endpoint.Ago(l.Since, r.now))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := endpoint.Table(w, r.Endpoints, r.now); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nTENANT QUOTAS")
	for _, tenant := range r.Tenants {
		fmt.Fprintf(w, "%s: %s\n", tenant.Name, tenant.line())
	}
	fmt.Fprintln(w, "\nNODES")
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s: %s\n", n.Name, n.line())
	}
	if len(r.Certificates) > 0 {
		fmt.Fprintln(w, "\nCERTIFICATES")
	}
	for _, c := range r.Certificates {
		left := "ended " + c.Ends.Format(time.DateOnly)
		if r.now.Before(c.Ends) {
			left = "ends in " + days(c.Ends.Sub(r.now))
		}
		fmt.Fprintf(w, "%s: %s\n", c.Name, left)
	}
	if r.Well {
		_, err := fmt.Fprintf(w, "\nstack %s is well (%.1fs)\n", r.Stack, r.Seconds)
		return err
	}
	fmt.Fprintf(w, "\nstack %s is not well (%.1fs). Next:\n", r.Stack, r.Seconds)
	for _, sentence := range r.Next {
		if _, err := fmt.Fprintf(w, "- %s\n", sentence); err != nil {
			return err
		}
	}
	return nil
}

// days are whole ones, or hours.
func days(left time.Duration) string {
	if n := int(left.Hours() / 24); n > 1 {
		return fmt.Sprintf("%d days", n)
	}
	return fmt.Sprintf("%d hours", int(left.Hours()))
}

// line is what is nearly used up.
func (t Tenant) line() string {
	if t.Why != "" {
		return t.Why
	}
	var full []string
	for _, u := range t.Quota {
		if u.Percent > nearlyFull {
			full = append(full, fmt.Sprintf("%s %s of %s (%d%%)", u.Resource, u.Used, u.Hard, u.Percent))
		}
	}
	if len(full) == 0 {
		return fmt.Sprintf("nothing over %d%%", nearlyFull)
	}
	return strings.Join(full, ", ")
}

func (n Node) line() string {
	parts := []string{"ready"}
	if !n.Ready {
		parts[0] = "not ready"
	}
	if len(n.Pressure) == 0 {
		parts = append(parts, "no pressure")
	}
	parts = append(parts, n.Pressure...)
	if n.Closed {
		parts = append(parts, "takes no new pods")
	}
	return strings.Join(parts, ", ")
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(len(commit), 10)] }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
