package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/certificates"
	"github.com/neuroscale-platform/neuroscale/components/endpoints"
	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/tenancy"
	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/keyring"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/predict"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

const (
	endpointsPhase  = "endpoints"
	predictionPhase = "prediction"
)

// upReport is what `up` prints, and its -o json.
type upReport struct {
	Stack     string             `json:"stack"`
	Changed   bool               `json:"changed"`
	Resources int                `json:"resources"`
	Changes   automation.Changes `json:"changes"`
	// Drift is what others had deleted or changed, and is put back.
	Drift      []automation.Drift `json:"drift,omitempty"`
	Phases     []phaseReport      `json:"phases"`
	Prediction *predict.Shown     `json:"prediction,omitempty"`
	// NoPrediction says why no endpoint was there to be asked.
	NoPrediction string `json:"noPrediction,omitempty"`
	// NetworkPolicies says whether the cluster enforces them: tenancy.Enforced or
	// tenancy.NotEnforced; empty if what found out is there no more.
	NetworkPolicies string `json:"networkPolicies"`
	// OpenGateway is that it asks for no keys.
	OpenGateway bool `json:"openGateway"`
	// Authority is the file with the certificate of who signed those of the servers.
	Authority string     `json:"authority"`
	URLs      []namedURL `json:"urls"`
	Seconds   float64    `json:"seconds"`
}

type phaseReport struct {
	Name      string  `json:"name"`
	From      float64 `json:"fromSeconds"`
	Seconds   float64 `json:"seconds"`
	Resources int     `json:"resources"`
	Changed   int     `json:"changed"`
}

type namedURL struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Note string `json:"note,omitempty"`
}

type upFlags struct {
	skipPredict bool
	timeout     time.Duration
}

func (a *app) upCommand() *cobra.Command {
	var f upFlags
	var format string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the platform up, or up to date, and ask it for a prediction",
		Example: "  neuroscale up\n" +
			"  neuroscale up -s ci --skip-predict -o json",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.up(cmd.Context(), f)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(a.out, report)
			}
			return report.print(a.out)
		},
	}
	cmd.Flags().BoolVar(&f.skipPredict, "skip-predict", false, "do not ask an endpoint at the end")
	cmd.Flags().DurationVar(&f.timeout, "predict-timeout", 3*time.Minute, "how long an endpoint that is there may take to answer")
	outputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) up(ctx context.Context, f upFlags) (*upReport, error) {
	start := time.Now()
	cfg, cluster, err := a.adopted(ctx)
	if err != nil {
		return nil, err
	}
	if cluster == nil {
		err = a.madeAnswers(ctx)
	} else {
		err = volumes(ctx, cfg, cluster)
	}
	if err != nil {
		return nil, err
	}
	choice, err := endpointChoice(cfg)
	if err != nil {
		return nil, err
	}
	// The cluster is the one there is by then.
	if cfg.Serving.Auth == config.AuthKeys {
		choice.Key = func(ctx context.Context) (string, error) { return keyring.PlatformToken(ctx, cluster.Dynamic) }
	}
	tracker := progress.NewTracker(nil)
	stack, err := a.open(ctx, tracker.Count(a.program))
	if err != nil {
		return nil, err
	}
	stop := progress.Watch(ctx, tracker, a.renderer(), 200*time.Millisecond)
	ended := func() {}
	if !f.skipPredict && cluster != nil {
		ended = a.predictEarly(ctx, tracker, cluster, choice, gateway(cfg, cluster))
	}
	result, err := stack.Up(ctx, automation.UpOptions{}, tracker.Observe)
	ended()
	snapshot := stop()
	if err != nil {
		return nil, err
	}
	out, err := stacks.DecodeOutputs(result.Outputs)
	if err != nil {
		return nil, err
	}
	if cluster == nil {
		if cluster, err = kube.Connect(kube.Source{Text: out.Kubeconfig, Owner: "in the outputs of stack " + a.stack}); err != nil {
			return nil, err
		}
	}
	authority, err := stack.KeepAuthority(out.Authority)
	if err != nil {
		return nil, err
	}
	report := &upReport{
		Authority: authority,
		Stack:     a.stack, Changed: result.Changed, Resources: result.Changes.Resources(), Changes: result.Changes, Drift: result.Drift, URLs: urls(out, cfg),
		OpenGateway: cfg.Serving.Auth == config.AuthNone,
	}
	report.addPhases(snapshot)
	if report.NetworkPolicies, err = kube.LastWords(ctx, cluster.Dynamic, layer.Namespace, tenancy.EnforcementPods); err != nil {
		return nil, fmt.Errorf("find out whether NetworkPolicies are enforced: %w", err)
	}
	if !f.skipPredict {
		if err := a.addPrediction(ctx, report, cluster, choice, out, f.timeout); err != nil {
			return nil, err
		}
	}
	report.Seconds = time.Since(start).Seconds()
	return report, nil
}

func (r *upReport) addPhases(s progress.Snapshot) {
	for _, p := range s.Phases {
		r.Phases = append(r.Phases, phaseReport{
			Name: p.Name, From: p.Start.Seconds(), Seconds: p.Seconds(), Resources: p.Done, Changed: p.Changed,
		})
	}
}

// gateway is the address predictions will be asked at, before the stack's outputs
// say it.
func gateway(cfg *config.Config, cluster *kube.Cluster) string {
	host := cmp.Or(cfg.Cluster.Address, cluster.Kubeconfig.Host)
	return cfg.TLS.Scheme(config.ServerGateway) + "://" + net.JoinHostPort(host, strconv.Itoa(cfg.Serving.Gateway.NodePort))
}

// endpointChoice are the endpoints that `up` may end with a prediction of.
func endpointChoice(cfg *config.Config) (predict.Choice, error) {
	apps, err := fs.Sub(gitops.FS, endpoints.Folder)
	if err != nil {
		return predict.Choice{}, err
	}
	examples, err := endpoints.Names(apps)
	return predict.Choice{
		Examples: examples, Namespace: cfg.Tenants[0].Namespace, Tenants: cfg.Namespaces(), Applications: argocd.Namespace,
	}, err
}

// predictEarly asks an endpoint as soon as the endpoints are there, while what
// they do not need is still on its way, and shows when it answered. The result
// ends that.
func (a *app) predictEarly(ctx context.Context, t *progress.Tracker, cluster *kube.Cluster, choice predict.Choice, gateway string) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	there := func(p progress.Phase) bool { return p.Name == endpointsPhase && p.Complete() && p.Changed > 0 }
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for !slices.ContainsFunc(t.Snapshot().Phases, there) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		done := t.Task(predictionPhase, "an endpoint has to answer")
		authority, err := kube.Datum(ctx, cluster.Dynamic, layer.Namespace, layer.Authority, certificates.AuthorityKey)
		if err == nil {
			_, err = predict.Show(ctx, cluster.Dynamic, predict.NewClient(30*time.Second, authority), choice, gateway)
		}
		done(err == nil)
	}()
	return func() { cancel(); <-ended }
}

func (a *app) addPrediction(ctx context.Context, r *upReport, cluster *kube.Cluster, choice predict.Choice, out *stacks.Outputs, timeout time.Duration) error {
	start := time.Now()
	if r.Changed {
		fmt.Fprintln(a.err, "waiting for an endpoint to answer")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	shown, err := predict.Show(ctx, cluster.Dynamic, predict.NewClient(30*time.Second, out.Authority), choice, out.GatewayURL)
	if errors.Is(err, predict.ErrNothingToShow) {
		r.NoPrediction = err.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("the platform is up, but its endpoint gave no prediction in %s: %w", timeout, err)
	}
	r.Prediction = &shown
	if slices.ContainsFunc(r.Phases, func(p phaseReport) bool { return p.Name == predictionPhase }) {
		return nil
	}
	from := 0.0
	for _, p := range r.Phases {
		from = max(from, p.From+p.Seconds)
	}
	r.Phases = append(r.Phases, phaseReport{Name: predictionPhase, From: from, Seconds: time.Since(start).Seconds()})
	return nil
}

func (r *upReport) print(w io.Writer) error {
	for _, d := range r.Drift {
		fmt.Fprintf(w, "put back what somebody else had changed: %s\n", d)
	}
	if r.Changed {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "\nPHASE\tFROM\tTOOK\tRESOURCES")
		for _, p := range r.Phases {
			resources := ""
			if p.Resources > 0 {
				resources = fmt.Sprintf("%d (%d changed)", p.Resources, p.Changed)
			}
			fmt.Fprintf(t, "%s\t%.1fs\t%.1fs\t%s\n", p.Name, p.From, p.Seconds, resources)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(w, "\nstack %s is up: %d resources in %.1fs\n", r.Stack, r.Resources, r.Seconds)
	} else {
		fmt.Fprintf(w, "nothing to change: the %d resources of stack %s are as wanted (%.1fs)\n", r.Resources, r.Stack, r.Seconds)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t)
	for _, u := range r.URLs {
		fmt.Fprintf(t, "%s\t%s\t%s\n", u.Name, u.URL, u.Note)
	}
	fmt.Fprintf(t, "authority\t%s\ttrust it: `curl --cacert FILE`, `git -c http.sslCAInfo=FILE`\n", r.Authority)
	if err := t.Flush(); err != nil {
		return err
	}
	if r.NetworkPolicies != tenancy.Enforced {
		fmt.Fprintf(w, "\n%s\n", unenforced(r.NetworkPolicies))
	}
	if r.OpenGateway {
		fmt.Fprint(w, "\nthe gateway asks for no keys (neuroscale:serving.auth is none): whoever reaches it may ask every endpoint\n")
	}
	switch p := r.Prediction; {
	case p != nil:
		fmt.Fprintf(w, "\n%s, asked through the gateway as %s, answered in %.1f ms:\n%s\n", p.Name, p.Host, p.LatencyMS, p.Body)
	case r.NoPrediction != "":
		fmt.Fprintf(w, "\nno prediction: %s\n", r.NoPrediction)
	}
	return nil
}

// unenforced is what is said of a cluster on which tenants may not be apart.
func unenforced(verdict string) string {
	if verdict == tenancy.NotEnforced {
		return "NetworkPolicies are not enforced on this cluster: pods of one tenant reach those of the others and the platform's. " +
			"Use a network plugin that enforces them; neuroscale:cluster.requireNetworkPolicy makes it an error"
	}
	return "whether this cluster enforces NetworkPolicies is not known: the pod of the Job that found out is gone"
}

func urls(o *stacks.Outputs, cfg *config.Config) []namedURL {
	note := "predictions, by Host header"
	if o.PlatformKey != "" {
		note += " and key: `neuroscale keys create`"
	}
	list := []namedURL{
		{"gateway", o.GatewayURL, note},
		{"argocd", o.ArgoCDURL, "user " + argocd.Admin + ", password: output argocdAdminPassword"},
		{"forge", o.ForgeURL, "administrator " + o.ForgeUser + ", password: output forgePassword"},
		{"repository", o.Repository, pusher(cfg)},
	}
	if o.PortalURL != "" {
		account := "an account of the forge"
		if cfg.Forge.OnGitHub() {
			account = "an account on GitHub that is a member of a tenant"
		}
		list = append(list, namedURL{"portal", o.PortalURL, "sign in with " + account})
	}
	for _, name := range slices.Sorted(maps.Keys(o.Endpoints)) {
		list = append(list, namedURL{"endpoint " + name, o.Endpoints[name], ""})
	}
	return list
}

// pusher says who adds endpoints to the first tenant's repository.
func pusher(cfg *config.Config) string {
	t := cfg.Tenants[0]
	switch {
	case cfg.Forge.OnGitHub():
		return "propose a folder apps/NAME there, by a pull request"
	case len(t.Members) == 0:
		return "nobody pushes here: tenant " + t.Namespace + " has no members"
	}
	return "propose a folder apps/NAME as user " + t.Members[0] + ", password: output members"
}

// renderer is live on a terminal and plain lines elsewhere.
func (a *app) renderer() progress.Renderer {
	if !a.terminal {
		return progress.NewPlain(a.err, 20*time.Second)
	}
	return progress.NewLive(a.err, func() int {
		width, _, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil {
			return 80
		}
		return width
	})
}
