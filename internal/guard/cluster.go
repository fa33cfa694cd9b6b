package guard

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// dryRunner asks an API server what it would say to an object without storing
// it. The error is its refusal; unanswered means that it did not judge.
type dryRunner interface {
	dryRun(ctx context.Context, d *document) (refusal error, unanswered error)
}

// atOnce is how many dry-runs are under way.
const atOnce = 8

// clusterAnswer is what the cluster said of one document.
type clusterAnswer struct{ refusal, unanswered error }

// dryRun lets a cluster judge the probes and then every document. It counts
// the documents the cluster judged.
func dryRun(ctx context.Context, cluster dryRunner, policies []rule, documents []*document) (int, []Finding) {
	c := &contents{}
	probes := builtIn()
	var all []*document
	for _, p := range probes {
		all = append(all, p.document)
	}
	answers := ask(ctx, cluster, slices.Concat(all, documents))
	for _, p := range probes {
		got := answers[p.document]
		by := attribute(got.refusal, policies)
		switch {
		case got.unanswered != nil:
			c.add(Error, RuleCluster, "", 0, "the cluster does not judge the built-in %s: %v", p.name, got.unanswered)
			return 0, c.findings
		case p.refusedBy != "" && by != p.refusedBy:
			c.add(Error, RuleProbe, "", 0, "the cluster does not refuse the built-in %s by policy %s, as it has to: %s",
				p.name, p.refusedBy, said(got.refusal))
		case p.refusedBy == "" && got.refusal != nil:
			c.add(Error, RuleProbe, "", 0, "the cluster does not admit the built-in %s, as it has to: %s", p.name, said(got.refusal))
		}
	}
	count := 0
	for _, d := range documents {
		got := answers[d]
		if got.unanswered != nil {
			c.about(Error, RuleCluster, d, "is not judged by the cluster: %v", got.unanswered)
			continue
		}
		count++
		if got.refusal != nil {
			c.about(Error, cmpOr(attribute(got.refusal, policies), RuleCluster), d, "is refused by the cluster: %s", said(got.refusal))
		}
	}
	return count, c.findings
}

func ask(ctx context.Context, cluster dryRunner, documents []*document) map[*document]clusterAnswer {
	answers := make([]clusterAnswer, len(documents))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, d := range documents {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			answers[i].refusal, answers[i].unanswered = cluster.dryRun(ctx, d)
		})
	}
	all.Wait()
	byDocument := make(map[*document]clusterAnswer, len(documents))
	for i, d := range documents {
		byDocument[d] = answers[i]
	}
	return byDocument
}

func said(refusal error) string {
	if refusal == nil {
		return "it admits it"
	}
	return strings.Join(strings.Fields(refusal.Error()), " ")
}

// refusals are how the API server and Kyverno's webhook name the policy.
var refusals = []*regexp.Regexp{
	regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)' with binding`),
	regexp.MustCompile(`[Pp]olicy ([a-z0-9.-]+) failed:`),
}

// attribute is the policy that refused, or the quota; "" for another reason.
func attribute(refusal error, policies []rule) string {
	if refusal == nil {
		return ""
	}
	for _, pattern := range refusals {
		if m := pattern.FindStringSubmatch(refusal.Error()); m != nil &&
			slices.ContainsFunc(policies, func(p rule) bool { return p.name == m[1] }) {
			return m[1]
		}
	}
	if strings.Contains(refusal.Error(), "exceeded quota") {
		return RuleQuota
	}
	return ""
}
