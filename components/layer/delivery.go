package layer

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/forge"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
)

var (
	//go:embed askpass.sh
	askpassScript string
	//go:embed git.sh
	gitScript string
	//go:embed push.sh
	pushScript string
	//go:embed seed.sh
	seedScript string
	//go:embed apiserver.py
	apiserverScript string
	//go:embed define.py
	defineScript string
	//go:embed probe.py
	probeScript string
)

const (
	// DeliveryToken is the type of the Delivery component.
	DeliveryToken = "neuroscale:platform:Delivery"
	// Namespace holds what carries layers from the program to Git and asks
	// whether they work.
	Namespace = "neuroscale-system"

	// Authority is the name of a ConfigMap in Namespace with the certificate of who
	// signed the forge's.
	Authority = "certificate-authority"

	writerSecret = "platform-writer"
	gitUID       = 999  // of the user argocd in Argo CD's image
	probeUID     = 1000 // of the user in KServe's storage initializer
)

// DeliveryArgs are what all layers have in common.
type DeliveryArgs struct {
	// Repository the layers are pushed to.
	Repository forge.Repository
	// GitImage has bash, git and tar; ProbeImage python3.
	GitImage, ProbeImage string
	// Source the layers are rendered from.
	Source Source
	// Kinds that the layers bring; nil if they bring none.
	Kinds *Kinds
	// Project and Namespace of the Applications.
	Project, ApplicationNamespace string
	// RepositoryReady is done when Repository can be pushed to.
	RepositoryReady []pulumi.Resource
	// ControllerReady is done when an Application gets synced. Applications are
	// deleted before it, while somebody is there to prune their objects.
	ControllerReady []pulumi.Resource
}

func (a *DeliveryArgs) validate() error {
	if a == nil {
		return errors.New("delivery: no Args")
	}
	var errs []error
	for _, field := range []struct{ name, value string }{
		{"Repository.URL", a.Repository.URL},
		{"Repository.Writer.Username", a.Repository.Writer.Username},
		{"GitImage", a.GitImage}, {"ProbeImage", a.ProbeImage},
		{"Project", a.Project}, {"ApplicationNamespace", a.ApplicationNamespace},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("delivery: Args.%s is empty", field.name))
		}
	}
	if a.Repository.Authority.OutputState == nil {
		errs = append(errs, errors.New("delivery: Args.Repository.Authority is missing"))
	}
	if a.Source.Renderer == nil {
		errs = append(errs, errors.New("delivery: Args.Source.Renderer is missing"))
	}
	return errors.Join(errs...)
}

// Delivery is the way from the program to Git that all layers take.
type Delivery struct {
	pulumi.ResourceState
	args *DeliveryArgs
	// Namespace object, which the objects of every layer go with.
	Namespace *manifest.Resource
	// pushReady is what a push Job needs, pythonReady one that runs a script in Python.
	pushReady, pythonReady []pulumi.Resource
	delivered              []*Layer
}

// Layers that were delivered, in that order.
func (d *Delivery) Layers() []*Layer { return d.delivered }

// Ready is done when all layers of these names are. One that was not delivered
// yet is an error.
func (d *Delivery) Ready(names ...string) ([]pulumi.Resource, error) {
	var ready []pulumi.Resource
	var errs []error
	for _, name := range names {
		i := slices.IndexFunc(d.delivered, func(l *Layer) bool { return l.Name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("no layer %q has been delivered yet", name))
			continue
		}
		ready = append(ready, d.delivered[i].Ready...)
	}
	return ready, errors.Join(errs...)
}

// NewDelivery prepares the namespace, the scripts and the credentials that the
// layers' Jobs use.
func NewDelivery(ctx *pulumi.Context, name string, args *DeliveryArgs, opts ...pulumi.ResourceOption) (*Delivery, error) {
	if err := args.validate(); err != nil {
		return nil, err
	}
	d := &Delivery{args: args}
	if err := ctx.RegisterComponentResource(DeliveryToken, name, d, opts...); err != nil {
		return nil, err
	}
	var err error
	if d.Namespace, err = manifest.New(ctx, name, manifest.Namespace(Namespace), pulumi.Parent(d)); err != nil {
		return nil, err
	}
	set := manifest.NewSet(ctx, pulumi.Parent(d), pulumi.DeletedWith(d.Namespace),
		pulumi.DependsOn([]pulumi.Resource{d.Namespace}))
	git := set.Add(name+"-git", manifest.ConfigMap(Namespace, gitScripts(), map[string]string{
		"askpass.sh": askpassScript, "git.sh": gitScript, "push.sh": pushScript, "seed.sh": seedScript,
	}))
	python := set.Add(name+"-probe", manifest.ConfigMap(Namespace, pythonScripts(), map[string]string{
		"apiserver.py": apiserverScript, "define.py": defineScript, "probe.py": probeScript,
	}))
	credentials := set.Add(name+"-writer", credentialsSecret(writerSecret, args.Repository.Writer))
	trusted := set.Add(name+"-authority", certificates.AuthorityConfigMap(Namespace, Authority, args.Repository.Authority))
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	d.pushReady = append([]pulumi.Resource{git, credentials, trusted}, args.RepositoryReady...)
	d.pythonReady = []pulumi.Resource{python}
	return d, ctx.RegisterResourceOutputs(d, pulumi.Map{})
}

// Seed pushes archive to the main branch of a repository, on the server of
// DeliveryArgs.Repository or a public one, that has none yet; one that has is left
// alone. The last resource it registers is returned.
func (d *Delivery) Seed(set *manifest.Set, name string, repository forge.Repository, archive []byte, message string) pulumi.Resource {
	goes := pulumi.DeletedWith(d.Namespace)
	inNamespace := pulumi.DependsOn([]pulumi.Resource{d.Namespace})
	object := name + "-" + manifest.Hash(string(archive))
	tree := set.Add(name, archiveConfigMap(object, archive), inNamespace, goes)
	credentials := set.Add(name, credentialsSecret(name, repository.Writer), inNamespace, goes)
	return set.Add(name, pushJob(pushSpec{
		name: object, image: d.args.GitImage, labels: map[string]string{"app.kubernetes.io/part-of": "neuroscale"},
		archive: object, credentials: name, script: "seed.sh", public: repository.Public(),
		env: map[string]string{"REPOSITORY": repository.URL, "MESSAGE": message},
	}), goes, manifest.JobTimeout(), pulumi.DependsOn(slices.Concat([]pulumi.Resource{tree, credentials}, d.pushReady, repository.Ready)))
}

func gitScripts() string {
	return "git-" + manifest.Hash(askpassScript, gitScript, pushScript, seedScript)
}

func pythonScripts() string {
	return "python-" + manifest.Hash(apiserverScript, defineScript, probeScript)
}

func credentialsSecret(name string, account forge.Account) manifest.Object {
	return manifest.Secret(Namespace, name, nil, map[string]pulumi.StringInput{
		"username": pulumi.String(account.Username),
		"password": account.Password,
	})
}
