package cost

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// reading collects what is wrong with one document.
type reading struct {
	// where names the document.
	where    string
	problems []error
	// said are the problems there are: a value may be read more than once.
	said map[string]bool
}

func (r *reading) refuse(n node, problem string) {
	text := n.path() + " " + problem
	if r.said[text] {
		return
	}
	if r.said == nil {
		r.said = map[string]bool{}
	}
	r.said[text] = true
	r.problems = append(r.problems, fmt.Errorf("%s: %s", r.where, text))
}

func (r *reading) err() error { return errors.Join(r.problems...) }

// node is a value in a document and the way to it. The way is only written out
// for a message. Reading what is not there gives a node without a value.
type node struct {
	reading *reading
	parent  *node
	key     string
	value   any
	present bool
}

func (n node) path() string {
	if n.parent == nil {
		return n.key
	}
	above := n.parent.path()
	if above == "" || strings.HasPrefix(n.key, "[") {
		return above + n.key
	}
	return above + "." + n.key
}

// at follows keys. A value on the way that is no object is a problem.
func (n node) at(keys ...string) node {
	for _, key := range keys {
		parent := n
		object, ok := parent.value.(map[string]any)
		if parent.value != nil && !ok {
			n.reading.refuse(parent, fmt.Sprintf("is %v: write an object", show(parent.value)))
			parent.value = nil
		}
		value, present := object[key]
		n = node{reading: parent.reading, parent: &parent, key: key, value: value, present: present}
	}
	return n
}

// has says whether something is written there.
func (n node) has() bool { return n.value != nil }

// items are the elements of a list; anything else than a list is a problem.
func (n node) items() []node {
	values, ok := n.value.([]any)
	if n.value != nil && !ok {
		n.reading.refuse(n, fmt.Sprintf("is %v: write a list", show(n.value)))
	}
	out := make([]node, len(values))
	for i, value := range values {
		out[i] = node{reading: n.reading, parent: &n, key: "[" + strconv.Itoa(i) + "]", value: value, present: true}
	}
	return out
}

// text is a string, "" if there is none; anything else is a problem.
func (n node) text() string {
	text, ok := n.value.(string)
	if n.value != nil && !ok {
		n.reading.refuse(n, fmt.Sprintf("is %v: write a text", show(n.value)))
	}
	return text
}

// truth is a boolean, false if there is none; anything else is a problem.
func (n node) truth() bool {
	truth, ok := n.value.(bool)
	if n.value != nil && !ok {
		n.reading.refuse(n, fmt.Sprintf("is %v: write true or false, without quotes", show(n.value)))
	}
	return truth
}

// count is a whole number that is not negative, otherwise when there is none.
func (n node) count(otherwise int64) int64 {
	if n.value == nil {
		return otherwise
	}
	number, ok := int64(0), true
	switch v := n.value.(type) {
	case int:
		number = int64(v)
	case int64:
		number = v
	case float64:
		number, ok = int64(v), v == math.Trunc(v)
	case json.Number:
		var err error
		number, err = v.Int64()
		ok = err == nil
	default:
		ok = false
	}
	// Kubernetes counts in 32 bits.
	if !ok || number < 0 || number > math.MaxInt32 {
		n.reading.refuse(n, fmt.Sprintf("is %v: write a whole number of 0 or more, without quotes", show(n.value)))
		return otherwise
	}
	return number
}

// quantity is an amount, nil if nothing is written.
func (n node) quantity(d dimension) *resource.Quantity {
	if !n.present {
		return nil
	}
	text := ""
	switch v := n.value.(type) {
	case string:
		text = v
	case int:
		text = strconv.Itoa(v)
	case int64:
		text = strconv.FormatInt(v, 10)
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		text = v.String()
	default:
		n.reading.refuse(n, fmt.Sprintf("is %v: write an amount such as 250m or 512Mi", show(n.value)))
		return nil
	}
	q, err := parse(d, text)
	if err != nil {
		n.reading.refuse(n, err.Error())
		return nil
	}
	return &q
}

// show is a value as it is in JSON, shortened.
func show(value any) string {
	if value == nil {
		return "empty"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%v", value)
	}
	const most = 60
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}
