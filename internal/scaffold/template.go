package scaffold

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

var (
	// placeholder is the only thing a template may have beside text. It means the same
	// to Backstage's nunjucks: the value as JSON, which YAML reads as just that value.
	placeholder = regexp.MustCompile(`\$\{\{ values\.([A-Za-z]+) \| dump \}\}`)
	// tags are what nunjucks would understand and this does not.
	tags = []string{"${{", "}}", "{%", "%}", "{#", "#}"}
)

// fill replaces every placeholder of a template by its value, a string or an int.
// What is in a value is never taken for a placeholder.
func fill(template string, values map[string]any) (string, error) {
	text := placeholder.ReplaceAllString(template, "")
	for _, tag := range tags {
		if at := strings.Index(text, tag); at >= 0 {
			return "", fmt.Errorf("it has %q at %q: a placeholder is written ${{ values.NAME | dump }}", tag, line(text, at))
		}
	}
	var unknown error
	out := placeholder.ReplaceAllStringFunc(template, func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		value, ok := values[name]
		if !ok {
			unknown = fmt.Errorf("it has %s, but there is no value %s", found, name)
			return ""
		}
		text, err := dump(value)
		if err != nil {
			unknown = fmt.Errorf("the value %s: %w", name, err)
		}
		return text
	})
	if unknown != nil {
		return "", unknown
	}
	return out, nil
}

func dump(value any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// line is that of text which has the byte at.
func line(text string, at int) string {
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	rest, _, _ := strings.Cut(text[begin:], "\n")
	return strings.TrimSpace(rest)
}
