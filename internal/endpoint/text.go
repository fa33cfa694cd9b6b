package endpoint

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Ago is how long before now something was, such as 3h; - if that is not known.
func Ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return duration.HumanDuration(now.Sub(*t))
}

// Table writes endpoints for people. That there is none is said.
func Table(w io.Writer, endpoints []Endpoint, now time.Time) error {
	if len(endpoints) == 0 {
		_, err := fmt.Fprintln(w, "no endpoints: push a folder apps/NAME to an endpoints repository")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENDPOINT\tTENANT\tREADY\tSINCE\tREPLICAS\tURL")
	for _, e := range endpoints {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Name, e.Tenant, yes(e.Ready), Ago(e.Since, now), e.pods(), cmp.Or(e.URL, "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range endpoints {
		if !e.Ready {
			fmt.Fprintf(w, "%s in %s is not ready: %s\n", e.Name, e.Tenant, e.Why)
		}
	}
	return nil
}

// Text writes all about an endpoint for people.
func (d *Detail) Text(w io.Writer, now time.Time) error {
	state := "ready"
	if !d.Ready {
		state = "not ready: " + d.Why
	}
	fmt.Fprintf(w, "%s of tenant %s is %s\n", d.Name, d.Tenant, state)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "url\t%s\nreplicas\t%s\n", cmp.Or(d.URL, "none yet"), d.pods())
	fmt.Fprintln(t, "\nCONDITION\tHOLDS\tSINCE\tBECAUSE")
	for _, c := range d.Conditions {
		because := strings.Trim(c.Reason+": "+strings.Join(strings.Fields(c.Message), " "), ": ")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Type, yes(c.Holds), Ago(c.Since, now), cmp.Or(because, "-"))
	}
	if len(d.Pods) > 0 {
		fmt.Fprintln(t, "\nPOD\tREADY\tBECAUSE")
	}
	for _, p := range d.Pods {
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Name, yes(p.Ready), cmp.Or(p.Why, "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(d.Warnings) > 0 {
		fmt.Fprintln(w, "\nlast warnings:")
	}
	for _, e := range d.Warnings {
		fmt.Fprintf(w, "  %s ago, %s: %s: %s\n", Ago(e.Last, now), e.Object, e.Reason, e.Message)
	}
	for _, l := range d.Logs {
		fmt.Fprintf(w, "\nlast lines of container %s of pod %s:\n", l.Container, l.Pod)
		for line := range strings.SplitSeq(l.Text, "\n") {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	return nil
}

// pods says how many there are; of one that serves, none is no fault.
func (e Endpoint) pods() string {
	if e.Ready && e.Replicas.Total == 0 {
		return "none: idle"
	}
	return e.Replicas.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
