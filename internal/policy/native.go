package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NotCarriedOverError is a part of a Kyverno policy the API server cannot
// enforce the same way, so that the two would come to different verdicts.
type NotCarriedOverError struct {
	// Field is the path in the policy.
	Field string
	// Reason says why not and what to do instead.
	Reason string
}

// Error implements error.
func (e *NotCarriedOverError) Error() string {
	return fmt.Sprintf("%s cannot be carried over to a ValidatingAdmissionPolicy: %s", e.Field, e.Reason)
}

var unknownField = regexp.MustCompile(`unknown field "(spec\..+)"`)

// notCarriedOver tells Kyverno's own fields from mistakes.
func notCarriedOver(unknown []error) error {
	errs := make([]error, len(unknown))
	for i, err := range unknown {
		errs[i] = err
		if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
			errs[i] = &NotCarriedOverError{m[1], "the API server has no such field: remove it"}
		}
	}
	return errors.Join(errs...)
}

// generate makes the native policy and its binding. They carry the defaults the
// API server would fill in, so that what is applied is what is read back.
func generate(v *validatingPolicy) (*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding, error) {
	if err := check(v); err != nil {
		return nil, nil, err
	}
	labels := maps.Clone(v.Metadata.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["app.kubernetes.io/managed-by"] = "neuroscale"
	meta := metav1.ObjectMeta{Name: v.Metadata.Name, Labels: labels, Annotations: v.Metadata.Annotations}
	fail := admissionregistrationv1.Fail
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: meta,
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    &fail,
			MatchConstraints: withDefaults(v.Spec.MatchConstraints),
			MatchConditions:  v.Spec.MatchConditions,
			Variables:        v.Spec.Variables,
			Validations:      v.Spec.Validations,
			AuditAnnotations: v.Spec.AuditAnnotations,
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: *meta.DeepCopy(),
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        v.Metadata.Name,
			ValidationActions: v.Spec.ValidationActions,
		},
	}
	return policy, binding, nil
}

func check(v *validatingPolicy) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	lost := func(field, reason string) { errs = append(errs, &NotCarriedOverError{field, reason}) }
	if v.APIVersion != apiVersion || v.Kind != kind {
		wrong("apiVersion %q, kind %q: write %s, %s", v.APIVersion, v.Kind, apiVersion, kind)
	}
	if v.Metadata.Name == "" {
		wrong("metadata.name is empty: write the file's name without .yaml")
	}
	s := &v.Spec
	if s.FailurePolicy == nil || *s.FailurePolicy != admissionregistrationv1.Fail {
		wrong("spec.failurePolicy is not Fail: write it, so that what cannot be judged is refused")
	}
	if !slices.Equal(s.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		wrong("spec.validationActions is %v: write [Deny]; nothing else refuses anything", s.ValidationActions)
	}
	if len(s.Validations) == 0 {
		wrong("spec.validations is empty: a policy without any checks nothing")
	}
	for i, validation := range s.Validations {
		if validation.Message == "" {
			wrong("spec.validations[%d].message is empty: say what is missing and how to write it", i)
		}
	}
	switch m := s.MatchConstraints; {
	case m == nil || len(m.ResourceRules) == 0:
		wrong("spec.matchConstraints.resourceRules is empty: name the kinds that are judged")
	default:
		if !selectsTenants(m.NamespaceSelector) {
			wrong("spec.matchConstraints.namespaceSelector: write {matchExpressions: [{key: %s, operator: Exists}]}, so that nobody but tenants is judged", TenantLabel)
		}
		if m.MatchPolicy != nil && *m.MatchPolicy != admissionregistrationv1.Equivalent {
			wrong("spec.matchConstraints.matchPolicy is %q: leave it out; another version of a kind must not get past", *m.MatchPolicy)
		}
	}
	if e := s.Evaluation; e != nil {
		if e.Mode != "" && e.Mode != "Kubernetes" {
			lost("spec.evaluation.mode "+e.Mode, "the API server judges Kubernetes objects only: leave it out")
		}
		if e.Admission != nil && e.Admission.Enabled != nil && !*e.Admission.Enabled {
			lost("spec.evaluation.admission.enabled false", "the API server always judges at admission: write true")
		}
	}
	return errors.Join(errs...)
}

// selectsTenants says whether exactly the namespaces with the tenants' label are
// selected.
func selectsTenants(s *metav1.LabelSelector) bool {
	return s != nil && len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 1 &&
		s.MatchExpressions[0].Key == TenantLabel && s.MatchExpressions[0].Operator == metav1.LabelSelectorOpExists
}

func withDefaults(m *admissionregistrationv1.MatchResources) *admissionregistrationv1.MatchResources {
	m = m.DeepCopy()
	equivalent, all := admissionregistrationv1.Equivalent, admissionregistrationv1.AllScopes
	m.MatchPolicy = &equivalent
	if m.ObjectSelector == nil {
		m.ObjectSelector = &metav1.LabelSelector{}
	}
	for _, rules := range [][]admissionregistrationv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			if rules[i].Scope == nil {
				rules[i].Scope = &all
			}
		}
	}
	return m
}
