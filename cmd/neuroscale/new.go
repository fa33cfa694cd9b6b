package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/cost"
	"github.com/neuroscale-platform/neuroscale/internal/git"
	"github.com/neuroscale-platform/neuroscale/internal/github"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/scaffold"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) newCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "new",
		Short:   "Make what people merge from the platform's templates",
		Example: "  neuroscale new endpoint my-iris --storage-uri gs://kfserving-examples/models/sklearn/1.0/model",
	}, a.newEndpointCommand())
}

type newEndpointFlags struct {
	scaffold.Endpoint
	tenant, as, dir             string
	scaleToZero, propose, merge bool
}

func (a *app) newEndpointCommand() *cobra.Command {
	var f newEndpointFlags
	cmd := &cobra.Command{
		Use:   "endpoint NAME",
		Short: "Make the folder of an endpoint, or a pull request with it",
		Long: "Make the folder apps/NAME of an endpoint that the guard lets pass, and print its path. One that is there\n" +
			"already is left alone. What it costs is printed, too, on standard error.\n\n" +
			"With --propose the folder becomes a pull request to the tenant's repository, whose URL is printed; done again\n" +
			"while that is open, it changes that. With --merge the forge merges it when the guard has passed it, and\n" +
			"whoever has to has approved. On GitHub the token in GH_TOKEN or GITHUB_TOKEN says who proposes; who may not\n" +
			"write there does it by a fork.",
		Example: "  neuroscale new endpoint my-iris --storage-uri gs://kfserving-examples/models/sklearn/1.0/model -o ../endpoints\n" +
			"  neuroscale new endpoint my-iris --storage-uri s3://models/iris --size medium --scale-to-zero\n" +
			"  neuroscale new endpoint my-iris --storage-uri s3://models/iris --propose --merge",
		Args: exactArgs("NAME"),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch set := cmd.Flags().Changed; {
			case f.scaleToZero && set("min-replicas"):
				return fmt.Errorf("--scale-to-zero means --min-replicas 0: remove it or --min-replicas %d", f.MinReplicas)
			case f.propose && set("output"):
				return fmt.Errorf("--propose writes no folder here: remove it or -o %s", f.dir)
			case f.merge && !f.propose:
				return errors.New("--merge is about a pull request: remove it or add --propose")
			case !f.propose && set("as"):
				return fmt.Errorf("--as is who proposes an endpoint: remove --as %s or add --propose", f.as)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			if f.scaleToZero {
				f.MinReplicas = 0
			}
			where, err := a.newEndpoint(cmd.Context(), f)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, where)
			return err
		},
	}
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "whose endpoint it is, by namespace (default: the first tenant)")
	cmd.Flags().StringVar(&f.ModelFormat, "model-format", "sklearn", "what kind of model it is")
	cmd.Flags().StringVar(&f.StorageURI, "storage-uri", "", "where the model is, such as gs://my-bucket/models/iris (required)")
	cmd.Flags().StringVar(&f.Owner, "owner", "", "team that looks after it (default: the tenant's owner)")
	cmd.Flags().StringVar(&f.CostCenter, "cost-center", "", "budget that pays for it (default: the tenant's)")
	cmd.Flags().StringVar(&f.Size, "size", "small", "CPU and memory of each replica: small, medium or large")
	cmd.Flags().BoolVar(&f.scaleToZero, "scale-to-zero", false, "run nothing until somebody asks")
	cmd.Flags().IntVar(&f.MinReplicas, "min-replicas", 1, "how many run at least")
	cmd.Flags().IntVar(&f.MaxReplicas, "max-replicas", 2, "how many run at most")
	cmd.Flags().StringVarP(&f.dir, "output", "o", ".", "checkout of the tenant's repository")
	cmd.Flags().BoolVar(&f.propose, "propose", false, "open a pull request in the forge")
	cmd.Flags().BoolVar(&f.merge, "merge", false, "with --propose: have it merged when the guard has passed it")
	cmd.Flags().StringVar(&f.as, "as", "", "with --propose: the account of a member (default: the tenant's first one)")
	return cmd
}

// newEndpoint returns the path of the folder that it made, or the URL of the pull
// request.
func (a *app) newEndpoint(ctx context.Context, f newEndpointFlags) (string, error) {
	cfg, err := a.config()
	if err != nil {
		return "", err
	}
	tenant, err := tenantOf(cfg, f.tenant)
	if err != nil {
		return "", err
	}
	if f.Owner == "" {
		f.Owner = tenant.Owner
	}
	if f.CostCenter == "" {
		f.CostCenter = tenant.CostCenter
	}
	layers, err := a.layers()
	if err != nil {
		return "", err
	}
	s, err := scaffold.Load(gitops.FS)
	if err != nil {
		return "", err
	}
	files, err := s.Render(f.Endpoint, scaffold.Site{
		Tenant: tenant, Stores: cfg.Serving.ModelStores,
		Excluded: endpoints.Excluded(cfg.Tenants, tenant.Namespace, layers.Names()),
	})
	if err != nil {
		return "", err
	}
	price, err := estimate(cfg, tenant, f.Name, files)
	if err != nil {
		return "", err
	}
	var where string
	if f.propose {
		where, err = a.propose(ctx, cfg, tenant, f.as, scaffold.Proposal{Name: f.Name, Files: files, Text: price, Merge: f.merge})
	} else {
		where, err = files.Write(f.dir, f.Name)
	}
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintln(a.err, price)
	return where, err
}

// tenantOf is the tenant with that namespace; without one, the first.
func tenantOf(cfg *config.Config, namespace string) (config.Tenant, error) {
	for _, tenant := range cfg.Tenants {
		if namespace == "" || tenant.Namespace == namespace {
			return tenant, nil
		}
	}
	names := cfg.Namespaces()
	return config.Tenant{}, fmt.Errorf("--tenant %q is unknown%s: write %s", namespace, nearest.Hint(namespace, names), strings.Join(names, " or "))
}

// estimate says what an endpoint costs and takes of its tenant's quota.
func estimate(cfg *config.Config, tenant config.Tenant, name string, files scaffold.Files) (string, error) {
	platform, err := cost.NewPlatform(gitops.FS, cfg.Serving)
	if err != nil {
		return "", err
	}
	d, err := files.Cost(platform, cfg.Tenants, tenant.Namespace, name)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, quota := range d.Quotas {
		for _, row := range quota.Rows {
			if slices.Contains([]string{"requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}, row.Resource) {
				parts = append(parts, fmt.Sprintf("%s %s of %s", row.Resource, &row.UsedAtMax, &row.Quota))
			}
		}
	}
	after := d.Total.After
	return fmt.Sprintf("%s costs %.2f to %.2f %s a month, from its fewest to its most replicas; at the most it takes of the quota of tenant %s: %s",
		name, after.AtMin.Monthly, after.AtMax.Monthly, d.Currency, tenant.Namespace, strings.Join(parts, ", ")), nil
}

func (a *app) propose(ctx context.Context, cfg *config.Config, tenant config.Tenant, member string, p scaffold.Proposal) (string, error) {
	if cfg.Forge.OnGitHub() {
		return a.proposeOnGitHub(ctx, cfg, tenant, member, p)
	}
	if len(tenant.Members) == 0 {
		return "", fmt.Errorf("tenant %s has no members, who could propose something: add one to neuroscale:tenants[].members", tenant.Namespace)
	}
	if member == "" {
		member = tenant.Members[0]
	}
	if !slices.Contains(tenant.Members, member) {
		return "", fmt.Errorf("--as %q is no member of tenant %s%s: write %s", member, tenant.Namespace, nearest.Hint(member, tenant.Members), strings.Join(tenant.Members, " or "))
	}
	out, err := a.outputs(ctx)
	if err != nil {
		return "", err
	}
	password, there := out.Members[member]
	if !there {
		return "", a.notInForge(member)
	}
	repository, err := repositoryOf(out, cfg, tenant)
	if err != nil {
		return "", err
	}
	return scaffold.Propose(ctx, predict.NewClient(30*time.Second, out.Authority),
		git.Remote{URL: repository, Username: member, Password: password, Authority: out.Authority}, p)
}

// personsTokens are the variables in which gh, and so people, have a token of their own.
var personsTokens = []string{"GH_TOKEN", github.TokenVariable}

// proposeOnGitHub proposes as whoever the token in the environment is of.
func (a *app) proposeOnGitHub(ctx context.Context, cfg *config.Config, tenant config.Tenant, member string, p scaffold.Proposal) (string, error) {
	switch {
	case member != "":
		return "", fmt.Errorf("--as %s is an account of Gitea: on GitHub whoever the token is of proposes", member)
	case p.Merge:
		return "", errors.New("--merge is what Gitea does: on GitHub choose *Enable auto-merge* on the page of the pull request")
	}
	token := ""
	for _, variable := range personsTokens {
		token = cmp.Or(token, a.getenv(variable))
	}
	if token == "" {
		return "", fmt.Errorf("there is no token of yours for GitHub: set %s, such as by `export %s=$(gh auth token)`", strings.Join(personsTokens, " or "), personsTokens[0])
	}
	return scaffold.ProposeOnGitHub(ctx, github.Access{
		URL: a.getenv("GITHUB_API_URL"), Token: func() (string, error) { return token, nil },
	}, cfg.Forge.Organization, tenant.Repositories[0], p)
}

// repositoryOf is where the first repository of a tenant is cloned from: beside that
// of the first tenant, which the outputs have.
func repositoryOf(out *stacks.Outputs, cfg *config.Config, tenant config.Tenant) (string, error) {
	if tenant.Namespace == cfg.Tenants[0].Namespace {
		return out.Repository, nil
	}
	u, err := url.Parse(out.Repository)
	if err != nil {
		return "", fmt.Errorf("the stack's output repository: %w", err)
	}
	return u.JoinPath("..", tenant.Repositories[0]+".git").String(), nil
}
