package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	listersv1 "k8s.io/client-go/listers/core/v1"
)

// Engine evaluates the native policies with the API server's own library; it
// needs no cluster. It is safe for concurrent use.
type Engine struct {
	policies []*Policy
	objects  admission.ObjectInterfaces
}

// Request is what the API server would be asked.
type Request struct {
	// Object is as it would be stored, OldObject as it is; an UPDATE needs both.
	// Neither is changed.
	Object, OldObject map[string]any
	// Operation is CREATE, which is the default, or UPDATE.
	Operation string
	// SubResource is empty for the object itself.
	SubResource string
	// Namespace is where the object goes; its labels decide which policies match.
	Namespace       string
	NamespaceLabels map[string]string
	// Username is who asks. Empty is a person.
	Username string
	// DryRun says that nothing of it would stay.
	DryRun bool
}

// Verdict is what one policy says to a request.
type Verdict struct {
	// Policy is the policy's name.
	Policy string
	// Matched says whether the policy judged the request at all.
	Matched bool
	// Allowed is false where the API server would refuse the request: Message says
	// why, or Err why it could not be judged.
	Allowed bool
	Message string
	Err     error
}

// NewEngine compiles what is not compiled yet. The error names every policy and
// expression the API server would not take.
func NewEngine(policies []*Policy) (*Engine, error) {
	if len(policies) == 0 {
		return nil, errors.New("no policies: an engine without any allows everything")
	}
	e := &Engine{objects: admission.NewObjectInterfacesFromScheme(runtime.NewScheme())}
	var errs []error
	for _, p := range policies {
		compiled := *p
		if compiled.validator == nil {
			var err error
			if compiled.validator, err = compile(p.Native); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
				continue
			}
		}
		e.policies = append(e.policies, &compiled)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return e, nil
}

// Evaluate gives one Verdict a policy, in the order of NewEngine. The error is
// about a request the API server would not have got as far as judging.
func (e *Engine) Evaluate(ctx context.Context, r Request) ([]Verdict, error) {
	attributes, err := r.attributes()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", describe(r.Object), err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.Namespace, Labels: maps.Clone(r.NamespaceLabels)}}
	if namespace.Labels == nil {
		namespace.Labels = map[string]string{}
	}
	namespace.Labels[corev1.LabelMetadataName] = r.Namespace
	matcher := generic.NewPolicyMatcher(matching.NewMatcher(oneNamespace{namespace}, nil))
	versioned := &admission.VersionedAttributes{
		Attributes:         attributes,
		VersionedKind:      attributes.GetKind(),
		VersionedObject:    attributes.GetObject(),
		VersionedOldObject: attributes.GetOldObject(),
	}
	verdicts := make([]Verdict, len(e.policies))
	for i, p := range e.policies {
		v := &verdicts[i]
		v.Policy, v.Allowed = p.Name, true
		matches, resource, _, err := matcher.DefinitionMatches(attributes, e.objects, validating.NewValidatingAdmissionPolicyAccessor(p.Native))
		if err != nil {
			v.Matched, v.Allowed, v.Err = true, false, fmt.Errorf("%s: match: %w", p.Name, err)
			continue
		}
		if !matches {
			continue
		}
		if r.Namespace == "" {
			// To the API server an object without a namespace is nobody's, and matches.
			return nil, fmt.Errorf("%s: no namespace: say which one it goes to", describe(r.Object))
		}
		result := p.validator.Validate(ctx, resource, versioned, nil, namespace, celconfig.RuntimeCELCostBudget, nil)
		p.verdict(v, result.Decisions)
	}
	return verdicts, nil
}

// verdict is the first decision that refuses. No decision at all means that the
// match conditions kept the policy away.
func (p *Policy) verdict(v *Verdict, decisions []validating.PolicyDecision) {
	v.Matched = len(decisions) > 0
	for _, d := range decisions {
		switch {
		case d.Evaluation == validating.EvalError:
			v.Allowed, v.Err = false, fmt.Errorf("%s: %s", p.Name, d.Message)
			return
		case d.Action != validating.ActionAdmit && v.Allowed:
			v.Allowed, v.Message = false, d.Message
		}
	}
}

// Judges says whether the policy applies to objects of this kind, in a tenant's
// namespace, on their way in.
func (p *Policy) Judges(object map[string]any) bool {
	kind, err := kindOf(object)
	if err != nil {
		return false
	}
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	for _, rule := range p.Native.Spec.MatchConstraints.ResourceRules {
		if anyOf(rule.APIGroups, resource.Group) && anyOf(rule.APIVersions, resource.Version) && anyOf(rule.Resources, resource.Resource) {
			return true
		}
	}
	return false
}

func anyOf(names []string, name string) bool {
	for _, n := range names {
		if n == "*" || n == name {
			return true
		}
	}
	return false
}

func (r *Request) attributes() (admission.Attributes, error) {
	kind, err := kindOf(r.Object)
	if err != nil {
		return nil, err
	}
	object, err := r.stored(r.Object)
	if err != nil {
		return nil, err
	}
	operation := admission.Operation(cmp.Or(r.Operation, string(admission.Create)))
	var old runtime.Object
	switch {
	case operation == admission.Update && r.OldObject == nil:
		return nil, errors.New("an UPDATE without OldObject: say what is there")
	case operation == admission.Create && r.OldObject != nil:
		return nil, errors.New("a CREATE with OldObject: say UPDATE")
	case operation == admission.Update:
		u, err := r.stored(r.OldObject)
		if err != nil {
			return nil, fmt.Errorf("OldObject: %w", err)
		}
		old = u
	case operation != admission.Create:
		return nil, fmt.Errorf("operation %q: CREATE and UPDATE are judged", operation)
	}
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return admission.NewAttributesRecord(object, old, kind, r.Namespace, object.GetName(), resource, r.SubResource,
		operation, nil, r.DryRun, &user.DefaultInfo{Name: cmp.Or(r.Username, "somebody")}), nil
}

// stored is object as the API server would come to see it.
func (r *Request) stored(object map[string]any) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{Object: Normal(object)}
	if _, ok := u.Object["metadata"].(map[string]any); !ok {
		return nil, errors.New("no metadata: name the object")
	}
	switch u.GetNamespace() {
	case r.Namespace:
	case "":
		u.SetNamespace(r.Namespace)
	default:
		return nil, fmt.Errorf("metadata.namespace is %q, the request's is %q: they have to be one", u.GetNamespace(), r.Namespace)
	}
	return u, nil
}

func kindOf(object map[string]any) (schema.GroupVersionKind, error) {
	version, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	if version == "" || kind == "" {
		return schema.GroupVersionKind{}, errors.New("no apiVersion or kind: write both")
	}
	gv, err := schema.ParseGroupVersion(version)
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	return gv.WithKind(kind), nil
}

func describe(object map[string]any) string {
	kind, _ := object["kind"].(string)
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return cmp.Or(kind, "object") + " " + cmp.Or(name, "(no name)")
}

// oneNamespace is a lister of the request's namespace, whatever it is asked for.
type oneNamespace struct{ *corev1.Namespace }

var _ listersv1.NamespaceLister = oneNamespace{}

func (n oneNamespace) List(labels.Selector) ([]*corev1.Namespace, error) {
	return []*corev1.Namespace{n.Namespace}, nil
}

func (n oneNamespace) Get(string) (*corev1.Namespace, error) { return n.Namespace, nil }
