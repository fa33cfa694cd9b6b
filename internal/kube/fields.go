package kube

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Condition is what a controller says about an object.
type Condition struct {
	Type  string `json:"type"`
	Holds bool   `json:"holds"`
	// Info is one that keeps nothing from being ready.
	Info    bool       `json:"info,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Message string     `json:"message,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
}

// Conditions are those in an object's status, in their order.
func Conditions(o *unstructured.Unstructured) []Condition {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	conditions := []Condition{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		conditions = append(conditions, Condition{
			Type: Text(m, "type"), Holds: Text(m, "status") == "True", Info: Text(m, "severity") == "Info",
			Reason: Text(m, "reason"), Message: Text(m, "message"), Since: Moment(Text(m, "lastTransitionTime")),
		})
	}
	return conditions
}

// Text is a text in an object, by its path; "" if there is none.
func Text(m map[string]any, path ...string) string {
	s, _, _ := unstructured.NestedString(m, path...)
	return s
}

// Moment is a time as the API writes it; nil if it is none.
func Moment(text string) *time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	return &t
}
