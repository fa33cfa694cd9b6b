package follower

import (
	"context"
	"encoding/json"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Refresh is the annotation that has Argo CD look at an ApplicationSet. It stays there
// while it cannot, and then only another value is seen.
const Refresh = "argocd.argoproj.io/application-set-refresh"

// keepAwake has Argo CD try again at once what it has failed at. By itself it sleeps
// three minutes when the forge did not answer for a moment, and sees no folder that is
// merged meanwhile.
func (f *Follower) keepAwake(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	failed := map[string]bool{}
	for {
		for _, s := range f.settings.Sources {
			why, err := f.failed(ctx, s.ApplicationSet)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				f.log.Warn("cannot look at an ApplicationSet", "name", s.ApplicationSet, "error", err)
				continue
			case why != "" && !failed[s.ApplicationSet]:
				f.log.Info("has an ApplicationSet look again until it can", "name", s.ApplicationSet, "why", why)
			}
			if failed[s.ApplicationSet] = why != ""; why != "" {
				f.wake(ctx, s.ApplicationSet)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// failed is why an ApplicationSet could not be made Applications of; "" if it could.
// One that is not there yet has not failed.
func (f *Follower) failed(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o, err := f.cluster.Resource(kube.ApplicationSets).Namespace(f.settings.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, c := range kube.Conditions(o) {
		if c.Type == "ErrorOccurred" && c.Holds {
			return c.Message, nil
		}
	}
	return "", nil
}

// wake has Argo CD look at an ApplicationSet now.
func (f *Follower) wake(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		Refresh: time.Now().UTC().Format(time.RFC3339Nano),
	}}})
	if err == nil {
		_, err = f.cluster.Resource(kube.ApplicationSets).Namespace(f.settings.Namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		f.log.Warn("cannot have an ApplicationSet looked at", "name", name, "error", err)
	}
}
