// Package policy reads the guardrails, makes of each what the API server
// enforces by itself, and evaluates them without a cluster.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// TenantLabel is on every namespace the guardrails apply to.
const TenantLabel = "neuroscale.dev/tenant"

// separator begins another document after something that is not a comment.
var separator = regexp.MustCompile(`(?m)^[^#\s-][\s\S]*^---`)

const (
	folder     = "policies"
	apiVersion = "policies.kyverno.io/v1"
	kind       = "ValidatingPolicy"
)

// Policy is one rule, as Kyverno and as the API server itself enforce it.
type Policy struct {
	Name string
	// Kyverno is the ValidatingPolicy as written in gitops/policies/NAME.yaml.
	Kyverno map[string]any
	// Native and Binding say the same to the API server, under the same name.
	Native  *admissionregistrationv1.ValidatingAdmissionPolicy
	Binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding

	validator validating.Validator
}

// Files are the pattern of the policies' files.
const Files = folder + "/*.yaml"

// Load reads policies/*.yaml of fsys (gitops.FS), sorted by name. Everything
// that is wrong with them is in the error; that there are none is an error, too.
func Load(fsys fs.FS) ([]*Policy, error) {
	files, err := fs.Glob(fsys, Files)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no policies: add a %s in %s/NAME.yaml", folder, kind, folder)
	}
	var policies []*Policy
	var errs []error
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		p, err := parse(data)
		if err == nil && p.Name+".yaml" != path.Base(file) {
			err = fmt.Errorf("metadata.name is %q: a policy is in the file of its name", p.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		policies = append(policies, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(policies, func(a, b *Policy) int { return cmp.Compare(a.Name, b.Name) })
	return policies, nil
}

// NativeObjects are the policy and its binding as plain objects, to be rendered.
func (p *Policy) NativeObjects() []map[string]any {
	return []map[string]any{plain(p.Native), plain(p.Binding)}
}

// plain is a typed object as it is written down: without what is empty, and
// without the status that belongs to the cluster.
func plain(object any) map[string]any {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		// The API's own types always convert.
		panic(err)
	}
	delete(m, "status")
	delete(m["metadata"].(map[string]any), "creationTimestamp")
	return m
}

// validatingPolicy is what of a Kyverno ValidatingPolicy the API server can
// enforce as well. A field that is not here has no native counterpart.
type validatingPolicy struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metadata             `json:"metadata"`
	Spec            validatingPolicySpec `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type validatingPolicySpec struct {
	FailurePolicy     *admissionregistrationv1.FailurePolicyType `json:"failurePolicy"`
	ValidationActions []admissionregistrationv1.ValidationAction `json:"validationActions"`
	MatchConstraints  *admissionregistrationv1.MatchResources    `json:"matchConstraints"`
	MatchConditions   []admissionregistrationv1.MatchCondition   `json:"matchConditions"`
	Variables         []admissionregistrationv1.Variable         `json:"variables"`
	Validations       []admissionregistrationv1.Validation       `json:"validations"`
	AuditAnnotations  []admissionregistrationv1.AuditAnnotation  `json:"auditAnnotations"`
	Evaluation        *evaluation                                `json:"evaluation"`
}

// evaluation says where Kyverno evaluates; the API server always does at
// admission.
type evaluation struct {
	Mode      string    `json:"mode"`
	Admission *switched `json:"admission"`
	// Background is about Kyverno's reports alone.
	Background *switched `json:"background"`
}

type switched struct {
	Enabled *bool `json:"enabled"`
}

func parse(data []byte) (*Policy, error) {
	text, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	if separator.Match(data) {
		return nil, errors.New("more than one document: write a file a policy")
	}
	var v validatingPolicy
	unknown, err := json.UnmarshalStrict(text, &v)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, notCarriedOver(unknown)
	}
	var written map[string]any
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &written); err != nil {
		return nil, err
	}
	native, binding, err := generate(&v)
	if err != nil {
		return nil, err
	}
	validator, err := compile(native)
	if err != nil {
		return nil, err
	}
	return &Policy{Name: v.Metadata.Name, Kyverno: written, Native: native, Binding: binding, validator: validator}, nil
}
