package policy

import (
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel/environment"
)

// compile makes of a policy what the API server makes of it, with Kubernetes' CEL
// and nothing of Kyverno's. Every expression it would refuse to store is in the
// error.
func compile(p *admissionregistrationv1.ValidatingAdmissionPolicy) (validating.Validator, error) {
	// New, not stored: an API server of this version has to accept them.
	const mode = environment.NewExpressions
	withAuthorizer := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}
	// Its own, although that takes some milliseconds: policies that share one know
	// each other's variables.
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, fmt.Errorf("make the CEL environment: %w", err)
	}
	var errs []error
	failed := func(field string, result plugincel.CompilationResult) {
		if result.Error != nil {
			errs = append(errs, &NotCarriedOverError{field, fmt.Sprintf("the API server does not compile it: %v", result.Error)})
		}
	}
	s := &p.Spec
	conditions := make([]plugincel.ExpressionAccessor, len(s.MatchConditions))
	for i := range s.MatchConditions {
		c := (*matchconditions.MatchCondition)(&s.MatchConditions[i])
		conditions[i] = c
		// Before the variables are known: match conditions may not use them.
		failed(fmt.Sprintf("spec.matchConditions[%d] (%s)", i, c.Name), compiler.CompileCELExpression(c, withAuthorizer, mode))
	}
	for i, v := range s.Variables {
		result := compiler.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression}, withAuthorizer, mode)
		failed(fmt.Sprintf("spec.variables[%d] (%s)", i, v.Name), result)
	}
	validations := make([]plugincel.ExpressionAccessor, len(s.Validations))
	messages := make([]plugincel.ExpressionAccessor, len(s.Validations))
	for i, v := range s.Validations {
		validations[i] = &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason}
		failed(fmt.Sprintf("spec.validations[%d].expression", i), compiler.CompileCELExpression(validations[i], withAuthorizer, mode))
		if v.MessageExpression != "" {
			messages[i] = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
			failed(fmt.Sprintf("spec.validations[%d].messageExpression", i),
				compiler.CompileCELExpression(messages[i], plugincel.OptionalVariableDeclarations{}, mode))
		}
	}
	annotations := make([]plugincel.ExpressionAccessor, len(s.AuditAnnotations))
	for i, a := range s.AuditAnnotations {
		annotations[i] = &validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: a.ValueExpression}
		failed(fmt.Sprintf("spec.auditAnnotations[%d] (%s)", i, a.Key), compiler.CompileCELExpression(annotations[i], withAuthorizer, mode))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var matcher matchconditions.Matcher
	if len(conditions) > 0 {
		matcher = matchconditions.NewMatcher(compiler.CompileCondition(conditions, withAuthorizer, mode), s.FailurePolicy, "policy", "validate", p.Name)
	}
	return validating.NewValidator(
		compiler.CompileCondition(validations, withAuthorizer, mode),
		matcher,
		compiler.CompileCondition(annotations, withAuthorizer, mode),
		compiler.CompileCondition(messages, plugincel.OptionalVariableDeclarations{}, mode),
		s.FailurePolicy,
	), nil
}
