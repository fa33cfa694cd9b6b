package guard

import (
	"context"
	"fmt"
	"slices"
)

// native is the second engine: the policies' CEL through the library of the API
// server. The verdicts are those of the policies that match the document.
type native interface {
	evaluate(ctx context.Context, d *document) (map[string]verdict, error)
}

// PolicyCount is what became of one policy.
type PolicyCount struct {
	Name string `json:"name"`
	// Expected is how many documents the policy has to judge; Kyverno and Native
	// how many each engine did.
	Expected int `json:"expected"`
	Kyverno  int `json:"kyverno"`
	Native   int `json:"native"`
	// Refused is how many it refuses.
	Refused int `json:"refused"`
}

// judgement is what came out of both engines.
type judgement struct {
	policies []PolicyCount
	// probes is how many verdicts on probes were as they have to be, of
	// probesExpected.
	probes, probesExpected int
	contents
}

// judge lets both engines judge every document and accounts for each verdict: a
// document that an engine is silent about is an error, as is a probe that does
// not get the verdict it has to.
func judge(ctx context.Context, policies []rule, first *kyverno, second native, namespaces map[string]map[string]string, documents []*document) *judgement {
	j := &judgement{}
	j.findings = uncovered(policies)
	probes := builtIn()
	everything := slices.Clone(documents)
	for _, c := range probes {
		everything = append(everything, c.document)
	}
	library := j.nativeVerdicts(ctx, second, everything)
	judges := map[*document][]string{}
	for _, d := range documents {
		for _, p := range policies {
			if _, matched := library[d][p.name]; matched || covers(p.name, d) {
				judges[d] = append(judges[d], p.name)
			}
		}
	}
	calls := batches(policies, judges, documents, probes, first.processes)
	first.evaluate(ctx, namespaces, calls)

	byPolicy := map[string]*PolicyCount{}
	for _, p := range policies {
		byPolicy[p.name] = &PolicyCount{Name: p.name}
	}
	right, wrong := map[pair]bool{}, map[pair]bool{}
	for _, b := range calls {
		if b.err != nil {
			j.add(Error, RuleKyverno, "", 0, "%v", b.err)
			j.nativeOnly(b, byPolicy, library)
			continue
		}
		j.judgeProbes(b, library, right, wrong)
		for _, d := range b.documents {
			for _, p := range b.policies {
				j.account(byPolicy[p.name], d, b.verdicts, library[d])
			}
		}
		j.strangers(b)
	}
	for _, p := range policies {
		j.policies = append(j.policies, *byPolicy[p.name])
		refuses := false
		for _, c := range probes {
			if !covers(p.name, c.document) {
				continue
			}
			refuses = refuses || c.refusedBy == p.name
			j.probesExpected++
			if at := (pair{c.key(), p.name}); right[at] && !wrong[at] {
				j.probes++
			}
		}
		if !refuses {
			j.add(Error, RuleProbe, "", 0, "policy %s has no built-in bad document to prove itself on: add one to internal/samples", p.name)
		}
	}
	return j
}

func (j *judgement) nativeVerdicts(ctx context.Context, engine native, documents []*document) map[*document]map[string]verdict {
	all := make(map[*document]map[string]verdict, len(documents))
	for _, d := range documents {
		v, err := engine.evaluate(ctx, d)
		if err != nil {
			v = nil
			j.about(Error, RuleNative, d, "cannot be judged by the API server's library: %v", err)
		}
		all[d] = v
	}
	return all
}

// about adds a finding on a document.
func (c *contents) about(level Level, rule string, d *document, format string, args ...any) {
	c.findings = append(c.findings, Finding{
		Rule: rule, Level: level, File: d.file, Line: d.line, Object: d.String(), Message: fmt.Sprintf(format, args...),
	})
}

// judgeProbes notes which probes both engines judged as they have to.
func (j *judgement) judgeProbes(b *batch, library map[*document]map[string]verdict, right, wrong map[pair]bool) {
	for _, p := range b.policies {
		for _, c := range b.probes {
			if !covers(p.name, c.document) {
				continue
			}
			want := passed
			if c.refusedBy == p.name {
				want = refused
			}
			at := pair{c.key(), p.name}
			for _, engine := range []struct {
				name string
				got  outcome
			}{
				{"Kyverno", b.verdicts[at].outcome},
				{"the API server's library", library[c.document][p.name].outcome},
			} {
				if engine.got == want {
					right[at] = true
					continue
				}
				wrong[at] = true
				j.add(Error, RuleProbe, "", 0, "%s answers %s for the built-in %s under policy %s, which has to be %s: "+
					"nothing this run says about the policy can be believed", engine.name, word(engine.got), c.name, p.name, word(want))
			}
		}
	}
}

// word is an outcome in a sentence.
func word(o outcome) string {
	switch o {
	case passed:
		return "admitted"
	case refused:
		return "refused"
	case "":
		return "nothing"
	}
	return string(o)
}

// account compares what the table of kinds expects with what both engines did
// for one document and policy, and reports what they refuse.
func (j *judgement) account(count *PolicyCount, d *document, first verdicts, second map[string]verdict) {
	policy := count.Name
	expected := covers(policy, d)
	kyverno, byKyverno := first[pair{d.key(), policy}]
	library, byLibrary := second[policy]
	if expected {
		count.Expected++
	}
	judged := func(v verdict) bool { return v.outcome == passed || v.outcome == refused }
	if byKyverno && judged(kyverno) {
		count.Kyverno++
	}
	if byLibrary && judged(library) {
		count.Native++
	}
	switch {
	case byKyverno && kyverno.outcome == failed:
		j.about(Error, policy, d, "Kyverno cannot judge it: %s", kyverno.message)
	case byLibrary && library.outcome == failed:
		j.about(Error, policy, d, "the API server's library cannot judge it: %s", library.message)
	case expected && !byLibrary:
		j.about(Error, RuleAccounting, d, "policy %s does not judge this %s in the API server's library, though it has to: correct what the policy matches", policy, d.kindName())
	case (expected || byLibrary) && (!byKyverno || !judged(kyverno)):
		j.about(Error, RuleAccounting, d, "Kyverno gave no verdict under policy %s (%s): the document was not checked", policy, word(kyverno.outcome))
	case !expected && (byLibrary || byKyverno && judged(kyverno)):
		j.about(Error, RuleAccounting, d, "policy %s judges a %s, which the table in internal/guard/coverage.go does not say: correct one of them", policy, d.kindName())
	case byLibrary && byKyverno && kyverno.outcome != library.outcome:
		j.about(Error, RuleAgreement, d, "is %s by Kyverno and %s by the API server's library under policy %s: %s",
			word(kyverno.outcome), word(library.outcome), policy, cmpOr(kyverno.message, library.message))
	case byKyverno && kyverno.outcome == refused:
		count.Refused++
		j.about(Error, policy, d, "%s", cmpOr(library.message, kyverno.message))
	}
}

// nativeOnly says what the second engine refuses where the first gave nothing:
// the run fails anyway, and people still learn what to correct.
func (j *judgement) nativeOnly(b *batch, counts map[string]*PolicyCount, library map[*document]map[string]verdict) {
	for _, d := range b.documents {
		for _, p := range b.policies {
			if covers(p.name, d) {
				counts[p.name].Expected++
			}
			v, matched := library[d][p.name]
			if matched {
				counts[p.name].Native++
			}
			if v.outcome == refused {
				counts[p.name].Refused++
				j.about(Error, p.name, d, "%s", v.message)
			}
		}
	}
}

// strangers refuses verdicts on what was not asked about.
func (j *judgement) strangers(b *batch) {
	known := map[string]bool{}
	for _, d := range b.documents {
		known[d.key()] = true
	}
	for _, c := range b.probes {
		known[c.key()] = true
	}
	for at := range b.verdicts {
		if !known[at.document] || !slices.ContainsFunc(b.policies, func(p rule) bool { return p.name == at.policy }) {
			j.add(Error, RuleAccounting, "", 0, "Kyverno judged %s under policy %s, which it was not given", at.document, at.policy)
		}
	}
}
