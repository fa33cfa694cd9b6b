// Package guard judges manifests before they are merged: it reads them as Argo CD
// will, checks them against the schemas of the cluster's kinds, lets Kyverno and
// the API server's own library judge them by the platform's policies, and says
// what the change does to resources and cost. What it did not check is an error,
// never a pass.
package guard

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/samples"
)

// engines are what a run judges with; tests bring their own.
type engines struct {
	policies []rule
	kyverno  *kyverno
	native   native
	schemas  schemas
	// cluster is nil unless one was asked for.
	cluster dryRunner
}

// schemas validates a document against the schema of its kind.
type schemas interface {
	validate(d *document) []schemaProblem
}

// schemaProblem is what a schema does not allow, at a path of keys and indices.
type schemaProblem struct{ path, message string }

// tenancy is what of the tenants a run needs.
type tenancy struct {
	tenants []config.Tenant
	// namespace is that of documents which name none, and the only one if only.
	namespace string
	only      bool
	// kinds are what tenants may merge, as group/Kind; nil is any.
	kinds []string
	// excluded are folders no endpoint may be in, as glob patterns.
	excluded []string
}

// settle gives documents without a namespace theirs.
func (t *tenancy) settle(c *contents) {
	for _, d := range c.documents {
		if d.namespace == "" {
			d.namespace = t.namespace
			d.object["metadata"].(map[string]any)["namespace"] = t.namespace
		}
	}
}

// apply settles documents and refuses what tenants may not have.
func (t *tenancy) apply(c *contents) {
	t.settle(c)
	var names []string
	for _, tenant := range t.tenants {
		names = append(names, tenant.Namespace)
	}
	for _, d := range c.documents {
		switch {
		case !slices.Contains(names, d.namespace):
			c.about(Error, RuleNamespace, d, "is in the namespace %s, which is no tenant's: write %s or leave it out",
				d.namespace, strings.Join(names, " or "))
		case t.only && d.namespace != t.namespace:
			c.about(Error, RuleNamespace, d, "is in the namespace %s, but these endpoints are those of tenant %s: write that or leave it out",
				d.namespace, t.namespace)
		}
		if slices.ContainsFunc(t.excluded, func(pattern string) bool { ok, _ := path.Match(pattern, d.endpoint); return ok }) {
			c.about(Error, RuleFolder, d, "is in the folder %s, of which no endpoint is made because the name is the platform's or another tenant's: "+
				"give the folder another name", d.endpoint)
		}
		if t.kinds != nil && !slices.Contains(t.kinds, d.kindName()) {
			c.about(Error, RuleKind, d, "is a %s, which endpoints may not hold: they hold %s", d.kindName(), strings.Join(t.kinds, ", "))
		}
	}
	t.folders(c)
	c.unique()
}

// folders refuses more of them than a tenant may have Applications.
func (t *tenancy) folders(c *contents) {
	for _, tenant := range t.tenants {
		found := map[string]bool{}
		for _, d := range c.documents {
			if d.namespace == tenant.Namespace && d.endpoint != "" {
				found[d.endpoint] = true
			}
		}
		if most := tenant.Quota.Applications; len(found) > most {
			c.add(Error, RuleQuota, "", 0, "tenant %s has %s, each of which becomes an Application, of at most %d: remove some, or have neuroscale:tenants[].quota.applications raised",
				tenant.Namespace, plural(len(found), "folder"), most)
		}
	}
}

// unique refuses the second document of an identity.
func (c *contents) unique() {
	first := map[string]*document{}
	c.documents = slices.DeleteFunc(c.documents, func(d *document) bool {
		other, twice := first[d.identity()]
		if twice {
			c.about(Error, RuleRead, d, "is already in %s line %d: remove one, or give it another name", other.file, other.line)
			return true
		}
		first[d.identity()] = d
		return false
	})
}

// labels are those of the documents' namespaces as the policies select them.
// Namespaces of no tenant are judged as well, so that people hear of everything
// at once.
func labels(documents []*document) map[string]map[string]string {
	all := map[string]map[string]string{samples.Namespace: namespaceLabels(samples.Namespace)}
	for _, d := range documents {
		all[d.namespace] = namespaceLabels(d.namespace)
	}
	return all
}

func namespaceLabels(name string) map[string]string {
	return map[string]string{policy.TenantLabel: name, "kubernetes.io/metadata.name": name}
}

// validate checks every document's schema.
func validate(s schemas, c *contents) {
	for _, d := range c.documents {
		for _, p := range s.validate(d) {
			message := p.message
			if p.path != "" {
				message = p.path + ": " + message
			}
			c.findings = append(c.findings, Finding{
				Rule: RuleSchema, Level: Error, File: d.file, Line: d.lineOf(p.path), Object: d.String(), Message: message,
			})
		}
	}
}

// run is a whole check of what is at the paths.
func run(ctx context.Context, o Options, t *tenancy, e engines) (*Report, error) {
	files, missing := o.after()
	c := read(files)
	c.findings = append(missing, c.findings...)
	t.apply(c)
	r := &Report{Paths: o.Paths, Files: len(c.files), Documents: []DocumentReport{}, Empty: o.After != nil && len(c.documents) == 0}
	if len(c.documents) == 0 && !r.Empty {
		c.add(Error, RuleRead, "", 0, "there is not one object to check in %s: correct the path", strings.Join(o.Paths, ", "))
	}
	for _, d := range c.documents {
		r.Documents = append(r.Documents, DocumentReport{File: d.file, Line: d.line, Endpoint: d.endpoint, Object: d.String()})
	}
	judged := make(chan *judgement)
	go func() { judged <- e.judge(ctx, labels(c.documents), c.documents) }()
	validate(e.schemas, c)
	r.Findings = c.findings
	j := <-judged
	r.Policies, r.Probes, r.ProbesExpected = j.policies, j.probes, j.probesExpected
	r.KyvernoVersion = e.kyverno.version
	r.Findings = append(r.Findings, j.findings...)

	if e.cluster != nil {
		count, findings := dryRun(ctx, e.cluster, e.policies, c.documents)
		r.Cluster = &count
		r.Findings = append(r.Findings, findings...)
	}
	if o.base() != "" {
		delta, findings := compare(ctx, o, t, c.documents)
		r.Base, r.Change = o.base(), delta
		r.Findings = append(r.Findings, findings...)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.finish()
	return r, nil
}

// judge asks both engines, or says why the first cannot be asked.
func (e engines) judge(ctx context.Context, namespaces map[string]map[string]string, documents []*document) *judgement {
	if err := e.kyverno.check(ctx); err != nil {
		silent := *e.kyverno
		silent.run = broken(err)
		return judge(ctx, e.policies, &silent, e.native, namespaces, documents)
	}
	return judge(ctx, e.policies, e.kyverno, e.native, namespaces, documents)
}

// finish sorts the findings and decides.
func (r *Report) finish() {
	order := map[Level]int{Error: 0, Warning: 1, Note: 2}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.Level], order[b.Level]), cmp.Compare(path.Clean(a.File), path.Clean(b.File)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	// Every call of Kyverno may have failed in the same way.
	r.Findings = slices.Compact(r.Findings)
	r.Passed = r.Err() == nil
}

// Err is nil only if documents were there, every engine judged all that it had to
// and nothing was refused; else one sentence that sums up.
func (r *Report) Err() error {
	errors := 0
	for _, f := range r.Findings {
		if f.Level == Error {
			errors++
		}
	}
	if errors > 0 {
		return fmt.Errorf("guard found %s in %s", plural(errors, "error"), plural(len(r.Documents), "object"))
	}
	expected, checked := 0, 0
	for _, p := range r.Policies {
		expected += p.Expected
		checked += min(p.Kyverno, p.Native)
		if p.Kyverno != p.Expected || p.Native != p.Expected || p.Refused != 0 {
			return fmt.Errorf("guard did not check everything: of %d verdicts of policy %s Kyverno gave %d and the API server's library %d",
				p.Expected, p.Name, p.Kyverno, p.Native)
		}
	}
	switch {
	case len(r.Documents) == 0 && !r.Empty || len(r.Policies) == 0:
		return fmt.Errorf("guard checked nothing: there are %s and %s", plural(len(r.Documents), "object"), plural(len(r.Policies), "policy"))
	case r.ProbesExpected == 0 || r.Probes != r.ProbesExpected:
		return fmt.Errorf("guard did not prove itself: %d of %d verdicts on built-in documents were right", r.Probes, r.ProbesExpected)
	case r.Base != "" && r.Change == nil:
		return fmt.Errorf("guard did not compare with %s", r.Base)
	case r.Cluster != nil && *r.Cluster != len(r.Documents):
		return fmt.Errorf("guard did not check everything: the cluster judged %d of %d objects", *r.Cluster, len(r.Documents))
	}
	return nil
}

func plural(n int, what string) string {
	if n != 1 {
		if base, found := strings.CutSuffix(what, "y"); found {
			what = base + "ies"
		} else {
			what += "s"
		}
	}
	return fmt.Sprintf("%d %s", n, what)
}
