package follower

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/internal/endpoint"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Marker is what the comment begins with.
const Marker = "<!-- neuroscale-became -->"

// settles is how long what controllers say of something that was there before may be
// of before it was changed.
const settles = 5 * time.Second

// outcome is what became of a folder.
type outcome struct {
	folder string
	// state is one sentence. It may hold what anybody has written.
	state string
	// endpoints of it that answer, in the order of their names.
	endpoints []endpoint.Endpoint
	// settled is whether this will not be another without somebody's doing.
	settled bool
}

// folderOf is the name of the folder, below a folder of them, that a file is in.
func folderOf(below, file string) string {
	rest, ok := strings.CutPrefix(path.Clean(file), below+"/")
	name, inside, found := strings.Cut(rest, "/")
	if !ok || !found || inside == "" {
		return ""
	}
	return name
}

// outcome looks at what Argo CD made of a folder of a source that was changed, which
// main has or has no more. reached is whether a commit is as far as that.
func (f *Follower) outcome(ctx context.Context, s Source, folder string, reached func(string) (bool, error), there bool, merged time.Time) (outcome, error) {
	o := outcome{folder: folder}
	app, err := f.cluster.Resource(kube.Applications).Namespace(f.settings.Namespace).Get(ctx, s.Prefix+folder, metav1.GetOptions{})
	gone := apierrors.IsNotFound(err)
	switch {
	case err != nil && !gone:
		return o, fmt.Errorf("look up Application %s: %w", s.Prefix+folder, err)
	case !there && gone:
		o.state, o.settled = "it is removed.", true
		return o, nil
	case !there:
		o.state = "it is being removed."
		return o, nil
	case gone:
		o.state = "Argo CD has not seen it yet."
		return o, nil
	case kube.Text(app.Object, "spec", "destination", "namespace") != s.Tenant:
		o.state = "its name is another's: no Application is made of it."
		return o, nil
	}
	why, err := notApplied(app, reached)
	if err != nil || why != "" {
		o.state = why
		return o, err
	}
	return o, f.served(ctx, app, merged, &o)
}

// notApplied is why an Application is not what was merged; "" if it is.
func notApplied(app *unstructured.Unstructured, reached func(string) (bool, error)) (string, error) {
	const waits = "Argo CD is about to apply it."
	for _, c := range kube.Conditions(app) {
		if c.Type == "ComparisonError" || c.Type == "InvalidSpecError" {
			return "Argo CD cannot read it: " + c.Message, nil
		}
	}
	revision := kube.Text(app.Object, "status", "sync", "revision")
	if there, err := reached(revision); err != nil || !there {
		return waits, err
	}
	phase := kube.Text(app.Object, "status", "operationState", "phase")
	tried := kube.Text(app.Object, "status", "operationState", "operation", "sync", "revision")
	message := kube.Text(app.Object, "status", "operationState", "message")
	if tried == revision && message != "" && (phase == "Failed" || phase == "Error" || phase == "Running" && refused(app)) {
		return "the cluster does not take it: " + reasonOf(app, message), nil
	}
	if kube.Text(app.Object, "status", "sync", "status") != "Synced" {
		return waits, nil
	}
	return "", nil
}

// refused is whether an object was, in a sync that may still be tried again.
func refused(app *unstructured.Unstructured) bool { return reasonOf(app, "") != "" }

// reasonOf is what the cluster said of the first object that it did not take.
func reasonOf(app *unstructured.Unstructured, otherwise string) string {
	list, _, _ := unstructured.NestedSlice(app.Object, "status", "operationState", "syncResult", "resources")
	for _, item := range list {
		m, _ := item.(map[string]any)
		if kube.Text(m, "status") == "SyncFailed" {
			return kube.Text(m, "kind") + " " + kube.Text(m, "name") + ": " + kube.Text(m, "message")
		}
	}
	return otherwise
}

// served fills in what the objects of an Application that is applied do.
func (f *Follower) served(ctx context.Context, app *unstructured.Unstructured, merged time.Time, o *outcome) error {
	applied := merged
	if t := kube.Moment(kube.Text(app.Object, "status", "operationState", "finishedAt")); t != nil && t.After(merged) {
		applied = *t
	}
	list, _, _ := unstructured.NestedSlice(app.Object, "status", "resources")
	var waits []string
	for _, item := range list {
		m, _ := item.(map[string]any)
		if m["kind"] != "InferenceService" {
			continue
		}
		d, err := endpoint.Describe(ctx, f.cluster, nil, kube.Text(m, "namespace"), kube.Text(m, "name"), 0)
		switch {
		case err != nil && d == nil:
			waits = append(waits, kube.Text(m, "name")+" is not there yet")
		case err != nil:
			return err
		case !d.Ready:
			waits = append(waits, d.Name+" does not answer: "+because(d))
		default:
			o.endpoints = append(o.endpoints, d.Endpoint)
		}
	}
	switch health := kube.Text(app.Object, "status", "health", "status"); {
	case len(waits) > 0:
		o.state = strings.Join(waits, "; ") + "."
	case len(o.endpoints) > 0 && time.Since(applied) < settles:
		o.state, o.endpoints = "it is applied.", nil
	case len(o.endpoints) > 0:
		o.state, o.settled = "it answers.", true
	case health == "Healthy":
		o.state, o.settled = "it is applied, and what it is made of is well.", true
	case health == "Degraded":
		o.state = "it is applied, but not well: " + kube.Text(app.Object, "status", "health", "message")
	default:
		o.state = "it is applied, and not ready yet."
	}
	return nil
}

// because is why an endpoint is not ready. What its pods say, such as that an image or
// a model is not there, comes before that it is not.
func because(d *endpoint.Detail) string {
	for _, p := range d.Pods {
		if p.Why != "" && !p.Ready {
			return p.Why
		}
	}
	for i := len(d.Warnings) - 1; i >= 0; i-- {
		if w := d.Warnings[i]; strings.Contains(w.Message, "exceeded quota") {
			return w.Message
		}
	}
	return d.Why
}

// text is the comment.
func (f *Follower) text(author string, all []outcome, gateway string) string {
	var b strings.Builder
	b.WriteString(Marker + "\n## What became of it\n\n")
	for _, o := range all {
		fmt.Fprintf(&b, "- `%s/%s`: %s\n", f.settings.Folder, o.folder, guard.Escape(bounded(o.state)))
		for _, e := range o.endpoints {
			u, err := url.Parse(e.URL)
			if err != nil || u.Hostname() == "" {
				continue
			}
			fmt.Fprintf(&b, "\n  %s\n\n  ```sh\n%s  ```\n", e.URL, indented(f.curl(e.Name, u.Hostname(), gateway)))
		}
	}
	if author != "" {
		fmt.Fprintf(&b, "\n@%s\n", author)
	}
	return b.String()
}

// curl asks an endpoint for a prediction.
func (f *Follower) curl(name, host, gateway string) string {
	lines := []string{"curl --cacert \"$(bin/neuroscale ca)\""}
	if strings.HasPrefix(gateway, "http:") {
		lines[0] = "curl"
	}
	if f.settings.Keys {
		lines = append(lines, `-H "Authorization: Bearer $KEY"`)
	}
	lines = append(lines, "-H 'Host: "+host+"'", "-d @request.json", strings.TrimRight(gateway, "/")+"/v1/models/"+url.PathEscape(name)+":predict")
	text := strings.Join(lines, " ") + "\n"
	if f.settings.Keys {
		text = "# KEY is printed by `bin/neuroscale keys create`\n" + text
	}
	return text
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// bounded is a state that a page can show.
func bounded(text string) string {
	const most = 600
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
