package verify

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/check"
)

// Markdown writes docs/verify.md.
func Markdown(w io.Writer) error {
	p := &Platform{}
	text := &strings.Builder{}
	fmt.Fprintf(text, `# What verify asks

This page is made of the checks themselves (`+"`go test ./internal/verify -update`"+`).

`+"`neuroscale verify`"+` asks a platform that is up everything below, within %s, and exits with 0 only if all of it holds. Layers, policies, tenants and
endpoints are those of the configuration and the cluster: what is added later is asked about by itself. A check that could not be tried makes the run
fail, unless the configuration has switched its part off; it then says so. An ID never changes its meaning.

What only looks is asked at the same time. What changes something for a moment (marked *disturbs*) comes after it, and only if what it follows from has
passed. Nothing stays behind: most of it is a server-side dry run, objects end by themselves, and what is deleted to see it come back is kept in a
ConfigMap meanwhile, which the next run goes by if this one is killed.
`, Whole.Round(time.Second))
	for _, g := range Groups {
		fmt.Fprintf(text, "\n## %s: %s\n", g.Letter, g.Title)
		for _, c := range g.checks(p) {
			fmt.Fprintf(text, "\n### %s: %s\n%s\n", c.ID, c.Title, c.Asks)
			fmt.Fprintf(text, "- If it fails: %s.\n", strings.TrimSuffix(c.Remedy, "."))
			if facts := facts(c); facts != "" {
				fmt.Fprintf(text, "- %s.\n", facts)
			}
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// facts are the other things to know of a check.
func facts(c check.Check) string {
	var all []string
	if len(c.Follows) > 0 {
		all = append(all, "Follows from "+strings.Join(c.Follows, ", "))
	}
	if c.Alone {
		all = append(all, "*disturbs*")
	}
	limit := c.Limit
	if limit == 0 {
		limit = check.Limit
	}
	return strings.Join(append(all, fmt.Sprintf("at most %s", limit)), "; ")
}
