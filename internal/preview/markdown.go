package preview

import (
	"fmt"
	"io"
	"strings"
)

const (
	// marker is how the comment with a preview is found again.
	marker = "<!-- neuroscale-preview -->"
	// maxListed resources fit into a comment of GitHub's, which is cut at 64 KiB.
	maxListed = 300
)

// Markdown writes the report as a comment on a pull request: names of resources and
// of their properties, never a value.
func (r *Report) Markdown(w io.Writer) error {
	_, err := io.WriteString(w, r.comment())
	return err
}

func (r *Report) comment() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Preview of stack %s\n\n", marker, code(r.Stack))
	since := ""
	if r.Base {
		since = ", compared with the base"
	}
	if len(r.Drift) > 0 {
		b.WriteString("Changed in the cluster by somebody else, and put back by `up`:\n")
		for _, d := range r.Drift {
			fmt.Fprintf(&b, "- %s\n", code(d.String()))
		}
		b.WriteString("\n")
	}
	if !r.Changed {
		fmt.Fprintf(&b, "Nothing to change%s: the %d resources are as wanted.\n", since, r.Changes["same"])
		return b.String()
	}
	fmt.Fprintf(&b, "**%s**%s.\n", r.summary(), since)
	r.writeTrees(&b)

	b.WriteString("\n| part | create | update | replace | delete | unchanged |\n|---|--:|--:|--:|--:|--:|\n")
	for _, l := range r.Layers {
		if len(l.Resources) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s ", code(l.Name))
		for _, op := range append(operations, "same") {
			n := ""
			if l.Changes[op] > 0 {
				n = fmt.Sprintf("%d ", l.Changes[op])
			}
			fmt.Fprintf(&b, "| %s", n)
		}
		b.WriteString("|\n")
	}

	b.WriteString("\n<details><summary>Resources</summary>\n\n| part | change | kind | name | properties |\n|---|---|---|---|---|\n")
	listed, total := 0, 0
	for _, l := range r.Layers {
		for _, res := range l.Resources {
			if total++; total > maxListed {
				continue
			}
			listed++
			var properties []string
			for _, p := range res.Diffs {
				properties = append(properties, code(p))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", code(l.Name), res.Op, code(res.Kind), code(res.Name), strings.Join(properties, ", "))
		}
	}
	if total > listed {
		fmt.Fprintf(&b, "\n%d more are not listed: see `neuroscale preview -s %s`.\n", total-listed, r.Stack)
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

// writeTrees lists the layers whose content moves.
func (r *Report) writeTrees(b *strings.Builder) {
	header := false
	for _, name := range sortedKeys(r.Trees) {
		tree := r.Trees[name]
		if tree.From == tree.To {
			continue
		}
		if !header {
			b.WriteString("\n| layer | from | to | made of |\n|---|---|---|---|\n")
			header = true
		}
		from, to := "new", "removed"
		if tree.From != "" {
			from = code(tree.From)
		}
		if tree.To != "" {
			to = code(tree.To)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", code(name), from, to, strings.ReplaceAll(tree.Version, "|", `\|`))
	}
}

// code is text that Markdown leaves alone, also inside a table.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", `\|`, "\n", " ").Replace(text) + "`"
}
