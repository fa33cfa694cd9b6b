package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neuroscale-platform/neuroscale/components/argocd"
	"github.com/neuroscale-platform/neuroscale/components/manifest"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// object is one as it is written in YAML.
type object = map[string]any

func (p *Platform) list(ctx context.Context, r schema.GroupVersionResource, namespace, selector string) ([]unstructured.Unstructured, error) {
	return kube.List(ctx, p.Cluster.Dynamic, r, namespace, selector)
}

func (p *Platform) get(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	return kube.Find(ctx, p.Cluster.Dynamic, r, namespace, name)
}

// patch merges a document into an object.
func (p *Platform) patch(ctx context.Context, r schema.GroupVersionResource, namespace, name, merge string) error {
	_, err := p.Cluster.Dynamic.Resource(r).Namespace(namespace).Patch(ctx, name, types.MergePatchType, []byte(merge), metav1.PatchOptions{FieldManager: "neuroscale-doctor"})
	if err != nil {
		return fmt.Errorf("change %s %s: %w", r.Resource, name, err)
	}
	return nil
}

// nameOf is how an object is spoken of.
func nameOf(o *unstructured.Unstructured) string {
	return named(o.GetKind(), o.GetNamespace(), o.GetName())
}

func named(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + namespace + "/" + name
}

// sentence is a text on one line, without its full stop and not too long.
func sentence(text string) string {
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ". ")
	const most = 300
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// each asks about all of a list at the same time. The findings are in the list's order;
// the error is the first one.
func each[T any](list []T, ask func(T) ([]Finding, error)) ([]Finding, error) {
	found := make([][]Finding, len(list))
	errs := make([]error, len(list))
	var group sync.WaitGroup
	for i, one := range list {
		group.Go(func() { found[i], errs[i] = ask(one) })
	}
	group.Wait()
	var all []Finding
	for _, some := range found {
		all = append(all, some...)
	}
	for _, err := range errs {
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// answerWithin is how long a server may take that is asked how it is.
const answerWithin = 5 * time.Second

// errSilent is that a pod is connected to and says nothing.
var errSilent = errors.New("no answer in " + answerWithin.String())

// knock asks a pod's port for a path as the kubelet does, by HTTP or HTTPS: whoever
// answers, whatever it is, does not hang.
func (p *Platform) knock(ctx context.Context, namespace, pod string, port int, scheme, path string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Nothing is told it, and nothing it says is believed: that it speaks is enough.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return p.Dial(ctx, namespace, pod, port)
			},
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s://pod%s", strings.ToLower(scheme), path), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if ctx.Err() != nil {
		return errSilent
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// askForge sends the forge's API something as somebody; into, if it is not nil, is
// what the answer is decoded to.
func (p *Platform) askForge(ctx context.Context, method, path, user, password string, body, into any) (code int, err error) {
	var text io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		text = strings.NewReader(string(raw))
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(p.Outputs.ForgeURL, "/")+path, text)
	if err != nil {
		return 0, err
	}
	request.SetBasicAuth(user, password)
	request.Header.Set("Content-Type", "application/json")
	response, err := p.HTTP.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask the forge: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err == nil && into != nil && response.StatusCode == http.StatusOK {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return response.StatusCode, fmt.Errorf("the forge's answer to %s: %w", path, err)
	}
	return response.StatusCode, nil
}

// remove deletes an object, and what belongs to it.
func (p *Platform) remove(ctx context.Context, r schema.GroupVersionResource, namespace, name string, grace int64) error {
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background}
	if grace >= 0 {
		options.GracePeriodSeconds = &grace
	}
	err := p.Cluster.Dynamic.Resource(r).Namespace(namespace).Delete(ctx, name, options)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %s/%s: %w", r.Resource, namespace, name, err)
	}
	return nil
}

// again runs a Job once more, which has ended: it is made anew, as it was.
func (p *Platform) again(ctx context.Context, job *unstructured.Unstructured) error {
	o := &unstructured.Unstructured{Object: object{"apiVersion": "batch/v1", "kind": "Job", "spec": job.DeepCopy().Object["spec"]}}
	o.SetName(job.GetName())
	o.SetNamespace(job.GetNamespace())
	o.SetAnnotations(job.GetAnnotations())
	// What the Job's controller has put there is about the one before.
	const ofController = "controller-uid"
	unstructured.RemoveNestedField(o.Object, "spec", "selector")
	for _, path := range [][]string{{"metadata", "labels"}, {"spec", "template", "metadata", "labels"}} {
		labels, _, _ := unstructured.NestedStringMap(job.Object, path...)
		kept := object{}
		for key, value := range labels {
			if !strings.HasSuffix(key, ofController) && !strings.HasSuffix(key, "job-name") {
				kept[key] = value
			}
		}
		if err := unstructured.SetNestedMap(o.Object, kept, path...); err != nil {
			return fmt.Errorf("make Job %s again: %w", job.GetName(), err)
		}
	}
	if err := p.remove(ctx, kube.Jobs, job.GetNamespace(), job.GetName(), -1); err != nil {
		return err
	}
	api := p.Cluster.Dynamic.Resource(kube.Jobs).Namespace(job.GetNamespace())
	for {
		_, err := api.Create(ctx, o, metav1.CreateOptions{FieldManager: manifest.Manager})
		if err == nil {
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make Job %s again: %w", job.GetName(), err)
		}
		// The one before is still going.
		select {
		case <-ctx.Done():
			return fmt.Errorf("make Job %s again: %w", job.GetName(), ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// resync has Argo CD sync an Application now.
func (p *Platform) resync(ctx context.Context, application string) error {
	return p.patch(ctx, kube.Applications, argocd.Namespace, application, `{"operation":{"sync":{"prune":true}}}`)
}

// refresh has Argo CD compare an Application anew, and not from its cache.
func (p *Platform) refresh(ctx context.Context, application string) error {
	return p.patch(ctx, kube.Applications, argocd.Namespace, application, `{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"}}}`)
}
