package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/policy"
	"github.com/neuroscale-platform/neuroscale/internal/render"
	"github.com/neuroscale-platform/neuroscale/internal/schema"
)

// Options says what to check and against what.
type Options struct {
	// Paths are the files and folders to check; folders with all that is in them.
	Paths []string
	// Base is the Git reference to compare with; empty compares with nothing.
	Base string
	// After, if not nil, is checked instead of Paths and compared with Before instead
	// of Base. Unlike a path it may hold nothing.
	After, Before *Snapshot
	// Tenants own the namespaces that documents may be in.
	Tenants []config.Tenant
	// Namespace is the tenant's whose endpoints these are: documents that name no
	// namespace are in it, no other is allowed. Empty allows every tenant's, and
	// means the first one's.
	Namespace string
	// Kinds are what endpoints may hold, as "group/Kind" or "Kind" of the core
	// group; nil leaves it to the schemas.
	Kinds []string
	// Excluded are folders, as glob patterns, that no endpoint may be in: Argo CD
	// leaves them out.
	Excluded []string
	// GitOps has the policies and the pins (gitops.FS).
	GitOps fs.FS
	// RenderCache and SchemaCache are folders for what takes long to make.
	RenderCache, SchemaCache string
	// Schemas, if not empty, is a folder with schemas that are made already; it takes
	// neither cache nor the Go toolchain then.
	Schemas string
	// Kyverno is the path of Kyverno's command line; empty looks for it on PATH.
	Kyverno string
	// Cluster also judges every document, by a dry-run; nil asks none.
	Cluster *kube.Cluster
	// Cost is what the comparison with Base depends on; its tenants are Tenants.
	Cost cost.Options
}

// Changes of so much are flagged unless somebody asks for others.
const (
	DefaultCPUThreshold    = "2"
	DefaultMemoryThreshold = "4Gi"
)

// Run checks what is at the paths. Everything that is wrong, with the documents
// or with a tool that is needed, is in the report, and Report.Err sums it up. The
// error is only about a run that was ended or asked for something impossible.
func Run(ctx context.Context, o Options) (*Report, error) {
	started := time.Now()
	t, err := o.tenancy()
	if err != nil {
		return nil, err
	}
	e, rule, err := o.engines(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var r *Report
	if err != nil {
		r = &Report{
			Paths: o.Paths, Documents: []DocumentReport{}, Policies: []PolicyCount{},
			Findings: []Finding{{Rule: rule, Level: Error, Message: err.Error()}},
		}
		r.finish()
	} else if r, err = run(ctx, o, t, e); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(started).Seconds()
	return r, nil
}

func (o Options) tenancy() (*tenancy, error) {
	if len(o.Paths) == 0 && o.After == nil {
		return nil, errors.New("guard needs at least one path: name the folder of the endpoints, such as apps")
	}
	if len(o.Tenants) == 0 {
		return nil, errors.New("there are no tenants, so no namespace for any object: write neuroscale:tenants")
	}
	t := &tenancy{tenants: o.Tenants, namespace: cmpOr(o.Namespace, o.Tenants[0].Namespace), only: o.Namespace != "", kinds: o.Kinds, excluded: o.Excluded}
	var names []string
	for _, tenant := range o.Tenants {
		names = append(names, tenant.Namespace)
	}
	if !slices.Contains(names, t.namespace) {
		return nil, fmt.Errorf("the namespace %q is no tenant's: use %s", t.namespace, strings.Join(names, " or "))
	}
	return t, nil
}

// engines makes what a run judges with. The rule says what an error is about.
func (o Options) engines(ctx context.Context) (engines, string, error) {
	var e engines
	policies, err := policy.Load(o.GitOps)
	if err != nil {
		return e, RuleNative, fmt.Errorf("read the policies: %w", err)
	}
	library, err := policy.NewEngine(policies)
	if err != nil {
		return e, RuleNative, fmt.Errorf("compile the policies: %w", err)
	}
	e.native = libraryEngine{library}
	for _, p := range policies {
		e.policies = append(e.policies, rule{p.Name, p.Kyverno})
	}
	upstream, err := render.ReadUpstream(o.GitOps)
	if err != nil {
		return e, RuleSchema, err
	}
	pin, err := upstream.Module("kyverno")
	if err != nil {
		return e, RuleKyverno, err
	}
	path, err := findKyverno(o.Kyverno, pin.Version)
	e.kyverno = &kyverno{run: program(path), version: pin.Version, processes: defaultProcesses()}
	if err != nil {
		e.kyverno.run = broken(err)
	}
	validator, err := o.validator(ctx, upstream)
	if err != nil {
		return e, RuleSchema, fmt.Errorf("make the schemas: %w", err)
	}
	e.schemas = kindSchemas{validator}
	if o.Cluster != nil {
		if err := o.Cluster.Reachable(ctx); err != nil {
			return e, RuleCluster, err
		}
		if e.cluster, err = newAPIServer(o.Cluster); err != nil {
			return e, RuleCluster, err
		}
	}
	return e, "", nil
}

func (o Options) validator(ctx context.Context, upstream *render.Upstream) (*schema.Validator, error) {
	if o.Schemas != "" {
		kubernetes, err := upstream.Module("kubernetes")
		if err != nil {
			return nil, err
		}
		return schema.Open(o.Schemas, kubernetes.Version)
	}
	renderer, err := render.New(o.GitOps, o.RenderCache)
	if err != nil {
		return nil, err
	}
	return schema.New(ctx, schema.Options{Renderer: renderer, CacheDir: o.SchemaCache})
}

// broken is a command that cannot be run.
func broken(err error) command {
	return func(context.Context, ...string) (answer, error) { return answer{}, err }
}

// libraryEngine is the API server's own library.
type libraryEngine struct{ *policy.Engine }

func (l libraryEngine) evaluate(ctx context.Context, d *document) (map[string]verdict, error) {
	answers, err := l.Evaluate(ctx, policy.Request{
		Object: d.object, Namespace: d.namespace, NamespaceLabels: namespaceLabels(d.namespace),
	})
	if err != nil {
		return nil, err
	}
	all := map[string]verdict{}
	for _, v := range answers {
		switch {
		case !v.Matched:
		case v.Err != nil:
			all[v.Policy] = verdict{failed, v.Err.Error()}
		case v.Allowed:
			all[v.Policy] = verdict{outcome: passed}
		default:
			all[v.Policy] = verdict{refused, v.Message}
		}
	}
	return all, nil
}

// kindSchemas are the schemas of Kubernetes and of the platform's layers.
type kindSchemas struct{ *schema.Validator }

func (s kindSchemas) validate(d *document) []schemaProblem {
	text, err := json.Marshal(d.object)
	if err != nil {
		return []schemaProblem{{"", err.Error()}}
	}
	var all []schemaProblem
	for _, p := range s.Validate(text) {
		all = append(all, schemaProblem{p.Path, p.Message})
	}
	return all
}
