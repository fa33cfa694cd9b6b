package guard

import (
	"fmt"
	"io"
	"strings"
)

// Marker begins the Markdown report: a comment that begins with it is the one to
// update.
const Marker = "<!-- neuroscale-guard -->"

// GitHub refuses a comment of more than 65,536 characters.
const (
	mostFindings = 50
	mostText     = 60000
)

// Markdown writes the report as the comment of a pull request.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString(Marker + "\n")
	if r.Passed {
		b.WriteString("## Guard: passed\n\n")
	} else {
		b.WriteString("## Guard: failed\n\n")
		fmt.Fprintf(&b, "%s.\n\n", cell(strings.TrimPrefix(r.conclusion(), "FAILED: ")))
	}
	b.WriteString(cell(r.checked()) + "\n")
	findings := r.listed()
	if len(findings) > 0 {
		b.WriteString("\n| | where | object | rule | what to do |\n|---|---|---|---|---|\n")
		for i, f := range findings {
			if i == mostFindings {
				fmt.Fprintf(&b, "\n%d more are in the output of `neuroscale guard`.\n", len(findings)-i)
				break
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.Level, code(f.where()), cell(f.Object), cell(f.Rule), cell(shorten(f.Message)))
		}
	}
	if r.Change != nil {
		section := r.Change.Markdown()
		if b.Len()+len(section) > mostText {
			section = fmt.Sprintf("### Cost and quota\n\nToo many endpoints change for a comment: see the output of `neuroscale guard --base %s`.\n", cell(r.Base))
		}
		b.WriteString("\n" + section)
	}
	if len(r.Policies) > 0 {
		b.WriteString("\n<details><summary>What was checked</summary>\n\n")
		b.WriteString("| policy | objects | by Kyverno | by the API server's library | refused |\n|---|---:|---:|---:|---:|\n")
		for _, p := range r.Policies {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", cell(p.Name), p.Expected, p.Kyverno, p.Native, p.Refused)
		}
		b.WriteString("\n</details>\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Escape makes text part of a Markdown document in which it is nothing but text.
func Escape(text string) string { return cell(text) }

// cell is text that cannot leave its table cell or become markup: names and
// messages come from whoever wrote the manifest.
func cell(text string) string {
	return strings.NewReplacer(
		"\r", " ", "\n", " ", "|", `\|`, "\\", `\\`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
		"`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "@", "@\u200b", "#", `\#`,
	).Replace(text)
}

// code is text in a code span.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.NewReplacer("`", "'", "|", `\|`, "\n", " ", "\r", " ").Replace(text) + "`"
}

func shorten(text string) string {
	const most = 300
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
