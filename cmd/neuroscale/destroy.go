package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/neuroscale-platform/neuroscale/components/layer"
	"github.com/neuroscale-platform/neuroscale/components/serving"
	"github.com/neuroscale-platform/neuroscale/internal/automation"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/internal/progress"
	"github.com/neuroscale-platform/neuroscale/stacks"
)

func (a *app) destroyCommand() *cobra.Command {
	var o automation.DestroyOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Delete everything the stack made; the cluster stays",
		Example: "  neuroscale destroy\n" +
			"  neuroscale destroy -s ci --yes --remove\n" +
			"  neuroscale destroy --unreachable   # the cluster is gone for good",
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.destroy(cmd.Context(), o, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.Unreachable, "unreachable", false, "forget what was in a cluster that no longer exists")
	cmd.Flags().BoolVar(&o.Remove, "remove", false, "also remove the stack and its history")
	return cmd
}

func (a *app) destroy(ctx context.Context, o automation.DestroyOptions, yes bool) error {
	if _, err := a.project(); err != nil {
		return err
	}
	tracker := progress.NewTracker(nil)
	stack, err := a.open(ctx, a.program)
	if err != nil {
		return err
	}
	if !stack.Exists() {
		fmt.Fprintf(a.out, "nothing to destroy: stack %s was never up\n", a.stack)
		return nil
	}
	release, held := func(context.Context) {}, func(context.Context) []string { return nil }
	if !o.Unreachable {
		cfg, cluster, err := a.adopted(ctx)
		if err != nil {
			return fmt.Errorf("%w; if it is gone for good, run `neuroscale destroy -s %s --unreachable`", err, a.stack)
		}
		// A cluster that the stack made goes as a whole.
		if cluster != nil {
			layers, err := stacks.Layers(cfg)
			if err != nil {
				return err
			}
			held = func(ctx context.Context) []string { return heldUp(ctx, cluster, cfg.Namespaces()) }
			release = func(ctx context.Context) { a.clearTheWay(ctx, cluster, layers, cfg.Namespaces(), held) }
		}
	}
	if !yes {
		if err := a.confirm(); err != nil {
			return err
		}
	}
	for _, r := range stack.Known() {
		tracker.DeclareExisting(r.URN, r.Parent)
	}
	stop := progress.Watch(ctx, tracker, a.renderer(), 200*time.Millisecond)
	beside, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); release(beside) }()
	result, err := stack.Destroy(ctx, o, tracker.Observe)
	end()
	<-ended
	stop()
	if left := held(ctx); len(left) > 0 {
		why := strings.Join(left, "; ")
		if err == nil {
			return fmt.Errorf("stack %s is destroyed, but something of a tenant's is left: %s", a.stack, why)
		}
		return fmt.Errorf("%w\n%s; then run `neuroscale destroy -s %s` again", err, why, a.stack)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "stack %s is destroyed: %d resources deleted in %.1fs\n", a.stack, result.Changes["delete"], result.Seconds)
	return nil
}

// tenantKinds are those of objects that people merge.
var tenantKinds = []schema.GroupVersionResource{kube.ConfigMaps, kube.Services, kube.Deployments, kube.InferenceServices}

// ownFinalizers are those that the platform's controllers put on them and remove.
var ownFinalizers = []string{serving.Finalizer}

// heldUp are sentences about objects of tenants that somebody's finalizers hold up. A
// cluster that does not answer has none.
func heldUp(ctx context.Context, cluster *kube.Cluster, namespaces []string) []string {
	found, err := kube.FindHeldUp(ctx, cluster.Dynamic, namespaces, tenantKinds, ownFinalizers, time.Now())
	if err != nil {
		return nil
	}
	var all []string
	for _, h := range found {
		all = append(all, h.String())
	}
	return all
}

// clearTheWay looks every second, until the context ends, for objects whose controllers
// went before them: a layer is deleted while what people deployed is still being
// collected. Pods of the platform and of tenants' namespaces that are going, if they take
// long to end, are not waited for. It says what somebody else holds up.
func (a *app) clearTheWay(ctx context.Context, cluster *kube.Cluster, layers layer.List, tenants []string, heldUp func(context.Context) []string) {
	const lookEvery = 5 * time.Second
	looked, said := time.Now(), map[string]bool{}
	// What cannot be done now is tried again in a second.
	later := func(what string, err error) {
		if err != nil && ctx.Err() == nil && !said[err.Error()] {
			said[err.Error()] = true
			a.log().Warn(what, "error", err)
		}
	}
	var held []kube.Held
	for _, d := range layers {
		if len(d.Holds) > 0 {
			held = append(held, kube.Held{Kinds: d.Holds, Namespace: d.Namespace()})
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			released, err := kube.ReleaseOrphans(ctx, cluster.Dynamic, held, now)
			later("an object whose controller is gone could not be let go of yet", err)
			later("pods that are being ended are still waited for", kube.ForgetPods(ctx, cluster.Dynamic, layers.Namespaces(), tenants, now))
			for _, what := range released {
				a.log().Warn("let go of what waited for a controller that is gone", "object", what)
			}
			if now.Sub(looked) < lookEvery {
				continue
			}
			looked = now
			for _, what := range heldUp(ctx) {
				if !said[what] {
					said[what] = true
					a.log().Warn("waiting for somebody else: " + what)
				}
			}
		}
	}
}

func (a *app) confirm() error {
	if !a.askable {
		return errors.New("destroy asks before it deletes and there is no terminal to ask on: pass --yes")
	}
	fmt.Fprintf(a.err, "Everything stack %s made will be deleted, the models' repository too. Type the stack's name to go on: ", a.stack)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && line == "" {
		return errors.New("no answer: nothing was deleted")
	}
	if strings.TrimSpace(line) != a.stack {
		return fmt.Errorf("%q is not %q: nothing was deleted", strings.TrimSpace(line), a.stack)
	}
	return nil
}
