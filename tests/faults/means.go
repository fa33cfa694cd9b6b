package faults

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/components/portal"
	"github.com/neuroscale-platform/neuroscale/internal/config"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

var (
	namespaces = kube.Namespaces

	applications = kube.Applications
)

type object = map[string]any

// at is a part of an object, an empty one if it is not there.
func at(o object, keys ...string) object {
	for _, key := range keys {
		o, _ = o[key].(object)
	}
	if o == nil {
		return object{}
	}
	return o
}

// both mends in this order, whatever comes of the first.
func both(mends ...Mend) Mend {
	return func(ctx context.Context) error {
		var errs []error
		for _, mend := range mends {
			if mend != nil {
				errs = append(errs, mend(ctx))
			}
		}
		return errors.Join(errs...)
	}
}

func (p *Platform) get(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	return rig.Get(ctx, p.objects, r, namespace, name)
}

func (p *Platform) list(ctx context.Context, r schema.GroupVersionResource, namespace string) ([]unstructured.Unstructured, error) {
	return rig.List(ctx, p.objects, r, namespace)
}

// create makes an object, which the mend deletes.
func (p *Platform) create(ctx context.Context, r schema.GroupVersionResource, o object) (Mend, error) {
	u := &unstructured.Unstructured{Object: o}
	_, err := p.objects.Resource(r).Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{})
	return func(ctx context.Context) error {
		err := p.delete(ctx, r, u.GetNamespace(), u.GetName())
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}, err
}

func (p *Platform) delete(ctx context.Context, r schema.GroupVersionResource, namespace, name string) error {
	return p.objects.Resource(r).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
}

func (p *Platform) patch(ctx context.Context, r schema.GroupVersionResource, namespace, name, merge string) error {
	_, err := p.objects.Resource(r).Namespace(namespace).Patch(ctx, name, types.MergePatchType, []byte(merge), metav1.PatchOptions{})
	return err
}

// change patches an object; the mend puts its spec and labels back.
func (p *Platform) change(ctx context.Context, r schema.GroupVersionResource, namespace, name, merge string) (Mend, error) {
	return p.replace(ctx, r, namespace, name, func(o object) error {
		var patch object
		if err := json.Unmarshal([]byte(merge), &patch); err != nil {
			return err
		}
		apply(o, patch)
		return nil
	})
}

// apply merges a document into another as RFC 7386 says.
func apply(o, patch object) {
	for key, value := range patch {
		inner, nested := value.(object)
		switch {
		case value == nil:
			delete(o, key)
		case nested:
			if _, there := o[key].(object); !there {
				o[key] = object{}
			}
			apply(o[key].(object), inner)
		default:
			o[key] = value
		}
	}
}

// replace writes an object as edit makes it; the mend puts its spec and labels back.
func (p *Platform) replace(ctx context.Context, r schema.GroupVersionResource, namespace, name string, edit func(object) error) (Mend, error) {
	before, err := p.get(ctx, r, namespace, name)
	if err == nil && before == nil {
		err = fmt.Errorf("%s %s is not there", r.Resource, name)
	}
	if err != nil {
		return nil, err
	}
	write := func(ctx context.Context, edit func(object) error) error {
		return rig.Poll(ctx, 10*time.Second, 100*time.Millisecond, func(ctx context.Context) (string, error) {
			now, err := p.get(ctx, r, namespace, name)
			if err != nil || now == nil {
				return "it is gone", err
			}
			if err := edit(now.Object); err != nil {
				return "", err
			}
			// Somebody else may write its status in between.
			_, err = p.objects.Resource(r).Namespace(namespace).Update(ctx, now, metav1.UpdateOptions{})
			return "", err
		})
	}
	mend := func(ctx context.Context) error {
		return write(ctx, func(o object) error {
			if spec, there := before.Object["spec"]; there {
				o["spec"] = spec
			}
			(&unstructured.Unstructured{Object: o}).SetLabels(before.GetLabels())
			return nil
		})
	}
	return mend, write(ctx, edit)
}

// paused has Argo CD leave a layer alone and does something to it. The mend lets it
// heal, and waits until it has.
func (p *Platform) paused(ctx context.Context, layer string, do func(context.Context) error) (Mend, error) {
	goOn, err := p.change(ctx, applications, argocd, layer, `{"spec":{"syncPolicy":{"automated":null}}}`)
	if err != nil {
		return goOn, err
	}
	mend := func(ctx context.Context) error {
		if err := goOn(ctx); err != nil {
			return err
		}
		return p.await(ctx, applications, argocd, layer, func(o object) string {
			if at(o, "status", "sync")["status"] != "Synced" {
				return "it is not synced"
			}
			return ""
		})
	}
	if err := do(ctx); err != nil {
		return mend, err
	}
	return mend, p.await(ctx, applications, argocd, layer, func(o object) string {
		if at(o, "status", "sync")["status"] != "OutOfSync" {
			return "Argo CD has not noticed"
		}
		return ""
	})
}

// await waits until nothing is missing of an object.
func (p *Platform) await(ctx context.Context, r schema.GroupVersionResource, namespace, name string, missing func(object) string) error {
	err := rig.Poll(ctx, 40*time.Second, 100*time.Millisecond, func(ctx context.Context) (string, error) {
		o, err := p.get(ctx, r, namespace, name)
		if err != nil || o == nil {
			return "it is not there", err
		}
		return missing(o.Object), nil
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Resource, name, err)
	}
	return nil
}

// awaitApplication waits until an Application has something in its status.
func (p *Platform) awaitApplication(name, field string) func(context.Context) error {
	return func(ctx context.Context) error {
		return p.await(ctx, applications, argocd, name, func(o object) string {
			if at(o, "status")[field] == nil {
				return "it has no " + field
			}
			return ""
		})
	}
}

// awaitZero waits until an endpoint has no pod.
func (p *Platform) awaitZero(ctx context.Context, endpoint string) error {
	return rig.Poll(ctx, 3*time.Minute, 500*time.Millisecond, func(ctx context.Context) (string, error) {
		pods, err := p.podsOf(ctx, tenant, endpoint+"-predictor-")
		if len(pods) > 0 {
			return "it still has a pod", err
		}
		return "", err
	})
}

// podsOf are the pods that run, or will, and whose names begin so.
func (p *Platform) podsOf(ctx context.Context, namespace, prefix string) ([]unstructured.Unstructured, error) {
	pods, err := p.list(ctx, kube.Pods, namespace)
	return slices.DeleteFunc(pods, func(pod unstructured.Unstructured) bool {
		return !strings.HasPrefix(pod.GetName(), prefix) || rig.Text(&pod, "status", "phase") == "Succeeded"
	}), err
}

// stop stops the processes of pods where they are; the mend lets them go on.
func (p *Platform) stop(ctx context.Context, namespace, prefix string) (Mend, error) {
	pods, err := p.podsOf(ctx, namespace, prefix)
	if err != nil {
		return nil, err
	}
	processes, err := rig.ProcessesOf(pods)
	if err == nil && len(processes) == 0 {
		err = fmt.Errorf("no process of a pod %s... in namespace %s", prefix, namespace)
	}
	if err != nil {
		return nil, err
	}
	signal := func(s os.Signal) error {
		var errs []error
		for _, each := range processes {
			if err := each.Signal(s); !errors.Is(err, os.ErrProcessDone) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	return func(context.Context) error { return signal(syscall.SIGCONT) }, signal(syscall.SIGSTOP)
}

// starve takes a Deployment its pods and lets it have no other.
func (p *Platform) starve(ctx context.Context, namespace, prefix string) (Mend, error) {
	pods, err := p.podsOf(ctx, namespace, prefix)
	if err == nil && len(pods) == 0 {
		err = fmt.Errorf("no pod %s... in namespace %s", prefix, namespace)
	}
	if err != nil {
		return nil, err
	}
	feed, err := p.create(ctx, kube.Quotas, object{
		"apiVersion": "v1", "kind": "ResourceQuota", "metadata": object{"name": "fault-starved", "namespace": namespace},
		"spec": object{"hard": object{"pods": "0"}},
	})
	mend := func(ctx context.Context) error {
		if err := feed(ctx); err != nil {
			return err
		}
		// It would try again by itself, but after a time that grows.
		sets, err := p.list(ctx, kube.ReplicaSets, namespace)
		if err != nil {
			return err
		}
		for _, set := range sets {
			if strings.HasPrefix(set.GetName(), prefix) {
				err = errors.Join(err, p.patch(ctx, kube.ReplicaSets, namespace, set.GetName(), fmt.Sprintf(`{"metadata":{"annotations":{"fault":"%d"}}}`, time.Now().Unix())))
			}
		}
		return err
	}
	if err != nil {
		return mend, err
	}
	if err := p.await(ctx, kube.Quotas, namespace, "fault-starved", func(o object) string {
		if at(o, "status", "hard")["pods"] == nil {
			return "it is not in force"
		}
		return ""
	}); err != nil {
		return mend, err
	}
	now := int64(0)
	for _, pod := range pods {
		if err := p.objects.Resource(kube.Pods).Namespace(namespace).Delete(ctx, pod.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			return mend, err
		}
	}
	return mend, p.awaitPods(ctx, namespace, prefix, 0)
}

func (p *Platform) awaitPods(ctx context.Context, namespace, prefix string, n int) error {
	return rig.Poll(ctx, 30*time.Second, 100*time.Millisecond, func(ctx context.Context) (string, error) {
		pods, err := p.podsOf(ctx, namespace, prefix)
		if len(pods) != n {
			return fmt.Sprintf("there are %d pods %s...", len(pods), prefix), err
		}
		return "", err
	})
}

func (p *Platform) scaleToZero(ctx context.Context, namespace, name string) (Mend, error) {
	mend, err := p.change(ctx, kube.Deployments, namespace, name, `{"spec":{"replicas":0}}`)
	if err != nil {
		return mend, err
	}
	return mend, p.awaitPods(ctx, namespace, name+"-", 0)
}

// forge asks for something as the forge's administrator.
func (p *Platform) forge(ctx context.Context, method, path string, body object) error {
	_, err := p.askForge(ctx, method, path, body)
	return err
}

func (p *Platform) askForge(ctx context.Context, method, path string, body object) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.Outputs.ForgeURL+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(p.Outputs.ForgeUser, p.Outputs.ForgePassword)
	request.Header.Set("Content-Type", "application/json")
	response, err := rig.Direct(p.Outputs.Authority).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: the forge answers %s: %s", method, path, response.Status, said)
	}
	return said, err
}

// askCatalog asks for entities of the portal's catalog.
func (p *Platform) askCatalog(ctx context.Context, method, path string) ([]byte, error) {
	secret, err := p.get(ctx, kube.Secrets, portal.Namespace, portal.SiteSecret)
	if err != nil || secret == nil {
		return nil, errors.Join(errors.New("the portal has no Secret"), err)
	}
	token, err := base64.StdEncoding.DecodeString(rig.Text(secret, "data", portal.VerifyToken))
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.Outputs.PortalURL+"/api/catalog/entities"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := rig.Direct(p.Outputs.Authority).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: the portal answers %s", method, path, response.Status)
	}
	return said, err
}

// merge puts a folder with a manifest into main; the mend takes it out again, and
// waits until its Application is gone.
func (p *Platform) merge(ctx context.Context, folder, manifest string, seen func(context.Context) error) (Mend, error) {
	at := "/repos/" + config.Default().Forge.Organization + "/" + config.Default().Tenants[0].Repositories[0] + "/contents/apps/" + folder + "/manifest.yaml"
	mend := func(ctx context.Context) error {
		var file struct{ SHA string }
		said, err := p.askForge(ctx, http.MethodGet, at+"?ref=main", nil)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(said, &file); err != nil {
			return err
		}
		if err := p.forge(ctx, http.MethodDelete, at, object{"branch": "main", "message": "Mend", "sha": file.SHA}); err != nil {
			return err
		}
		return rig.Poll(ctx, 50*time.Second, 500*time.Millisecond, func(ctx context.Context) (string, error) {
			app, err := p.get(ctx, applications, argocd, folder)
			if app == nil {
				return "", err
			}
			// One that is retrying is not deleted before it has given up.
			if app.GetDeletionTimestamp() != nil && rig.Text(app, "status", "operationState", "phase") == "Running" {
				err = p.patch(ctx, applications, argocd, folder, `{"status":{"operationState":{"phase":"Terminating"}}}`)
			}
			return "its Application is still there", err
		})
	}
	err := p.forge(ctx, http.MethodPost, at, object{
		"branch": "main", "message": "Break", "content": base64.StdEncoding.EncodeToString([]byte(manifest)),
	})
	if err == nil && seen != nil {
		err = seen(ctx)
	}
	return mend, err
}
