package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
)

// condition is one thing the annotation pulumi.com/waitFor asks to wait for.
type condition struct {
	text string
	// met tells whether it holds, and if not, what was found instead.
	met func(obj *unstructured.Unstructured) (ok bool, found string)
}

// parseWaitFor reads the annotation: condition=Type[=Status], jsonpath={...}[=value],
// or a JSON list of those, all of which must hold.
func parseWaitFor(value string) ([]condition, error) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	expressions := []string{value}
	if strings.HasPrefix(strings.TrimSpace(value), "[") {
		expressions = nil
		if err := json.Unmarshal([]byte(value), &expressions); err != nil {
			return nil, fmt.Errorf("must be a JSON list of strings: %w", err)
		}
		if len(expressions) == 0 {
			return nil, fmt.Errorf("must not be an empty list")
		}
	}
	var conditions []condition
	for _, expression := range expressions {
		c, err := parseCondition(strings.TrimSpace(expression))
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

func parseCondition(expression string) (condition, error) {
	if rest, ok := strings.CutPrefix(expression, "condition="); ok {
		name, want, found := strings.Cut(rest, "=")
		if !found {
			want = "True"
		}
		if name == "" || want == "" {
			return condition{}, fmt.Errorf("%q: want condition=Type or condition=Type=Status", expression)
		}
		return condition{text: expression, met: func(obj *unstructured.Unstructured) (bool, string) {
			return statusCondition(obj, name, want)
		}}, nil
	}
	rest, ok := strings.CutPrefix(expression, "jsonpath=")
	if !ok {
		return condition{}, fmt.Errorf("%q: want condition=Type[=Status] or jsonpath={.path}[=value]", expression)
	}
	path, want, compare := splitJSONPath(rest)
	if compare && want == "" {
		return condition{}, fmt.Errorf("%q: the value after = must not be empty", expression)
	}
	parser := jsonpath.New("waitFor").AllowMissingKeys(true)
	if err := parser.Parse(relaxed(path)); err != nil {
		return condition{}, fmt.Errorf("%q: %w", expression, err)
	}
	return condition{text: expression, met: func(obj *unstructured.Unstructured) (bool, string) {
		return pathValue(relaxed(path), obj, want, compare)
	}}, nil
}

// splitJSONPath cuts the expected value off a JSON path; an equals sign within
// the path's braces belongs to the path.
func splitJSONPath(text string) (path, want string, compare bool) {
	start := 0
	if end := strings.LastIndex(text, "}"); strings.HasPrefix(text, "{") && end > 0 {
		start = end
	}
	if i := strings.Index(text[start:], "="); i >= 0 {
		return text[:start+i], strings.Trim(strings.TrimLeft(text[start+i:], "="), `'"`), true
	}
	return text, "", false
}

// relaxed puts the braces and the dot around a path that were left out.
func relaxed(path string) string {
	path = strings.TrimSpace(path)
	if strings.HasPrefix(path, "{") {
		return path
	}
	if !strings.HasPrefix(path, ".") && !strings.HasPrefix(path, "[") {
		path = "." + path
	}
	return "{" + path + "}"
}

func pathValue(path string, obj *unstructured.Unstructured, want string, compare bool) (bool, string) {
	// A parsed path keeps state while it is evaluated, so each evaluation has its own.
	parser := jsonpath.New("waitFor").AllowMissingKeys(true)
	if err := parser.Parse(path); err != nil {
		return false, err.Error()
	}
	results, err := parser.FindResults(obj.Object)
	if err != nil {
		return false, err.Error()
	}
	var values []string
	for _, group := range results {
		for _, value := range group {
			if !value.IsValid() || (value.CanInterface() && value.Interface() == nil) {
				continue
			}
			var out bytes.Buffer
			if text, ok := value.Interface().(string); ok {
				out.WriteString(text)
			} else if data, err := json.Marshal(value.Interface()); err == nil {
				out.Write(data)
			}
			values = append(values, out.String())
		}
	}
	switch {
	case len(values) == 0:
		return false, "absent"
	case !compare:
		return true, ""
	case len(values) > 1:
		return false, fmt.Sprintf("%d values where one is wanted", len(values))
	default:
		return values[0] == want, values[0]
	}
}

// statusCondition looks for a condition of the object's status. A condition of
// an older generation of the object does not count.
func statusCondition(obj *unstructured.Unstructured, name, want string) (bool, string) {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		c, ok := item.(map[string]any)
		if !ok || !strings.EqualFold(fmt.Sprint(c["type"]), name) {
			continue
		}
		found := fmt.Sprint(c["status"])
		if reason, _ := c["reason"].(string); reason != "" {
			found += " (" + reason + ")"
		}
		if message, _ := c["message"].(string); message != "" {
			found += ": " + message
		}
		if observed, ok := asInt(c["observedGeneration"]); ok && observed < obj.GetGeneration() {
			return false, "not yet of this generation"
		}
		return strings.EqualFold(fmt.Sprint(c["status"]), want), found
	}
	return false, "absent"
}

func asInt(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	case int:
		return int64(n), true
	}
	return 0, false
}

// parseTimeout reads a number of seconds; empty means none given.
func parseTimeout(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 0 {
		return 0, fmt.Errorf("must be a number of seconds, not %q", value)
	}
	return time.Duration(seconds) * time.Second, nil
}
