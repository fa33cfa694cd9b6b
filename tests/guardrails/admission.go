package guardrails

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

// Mechanism is what of the cluster refuses by a policy.
type Mechanism string

const (
	// ByNative is the API server itself, ByKyverno is Kyverno's webhook.
	ByNative  Mechanism = "native"
	ByKyverno Mechanism = "kyverno"
)

// Answer is what a cluster says about a request.
type Answer struct {
	Verdict Verdict
	// Mechanism is empty unless a policy refuses.
	Mechanism Mechanism
	// Code is the HTTP status and Message the API server's own words.
	Code    int
	Message string
	Took    time.Duration
}

// String is the answer for a message.
func (a Answer) String() string {
	return fmt.Sprintf("%s (%s %d %s)", a.Verdict, a.Mechanism, a.Code, strings.TrimSpace(a.Message))
}

// Cluster asks the admission of a cluster.
type Cluster struct {
	http   *http.Client
	server string
}

// NewCluster makes a client without a limit on its rate.
func NewCluster(config *rest.Config) (*Cluster, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return &Cluster{http: client, server: strings.TrimSuffix(config.Host, "/")}, nil
}

const (
	// manager owns the fields of the objects that updates are about.
	manager = "guardrails-corpus"
	// dryRun keeps nothing; strict refuses unknown fields and duplicate keys.
	dryRun = "dryRun=All"
	strict = "fieldValidation=Strict"
)

// collection is the path of a kind's objects in a namespace. All kinds of the
// corpus have a plain plural.
func collection(apiVersion, kind, namespace string) string {
	root := "/apis/"
	if !strings.Contains(apiVersion, "/") {
		root = "/api/"
	}
	return root + apiVersion + "/namespaces/" + namespace + "/" + strings.ToLower(kind) + "s"
}

// Prepare makes the objects that updates are about. They never run.
func (c *Cluster) Prepare(ctx context.Context, cases []Case) (remove func(context.Context) error, err error) {
	paths := map[string]object{}
	for _, each := range cases {
		if each.Operation != Create {
			base := Base(each.Shape, each.Namespace)
			paths[collection(base["apiVersion"].(string), each.Kind, each.Namespace)+"/"+BaseName(each.Shape)] = base
		}
	}
	remove = func(ctx context.Context) error {
		var problems []error
		for path := range paths {
			problems = append(problems, c.remove(ctx, path))
		}
		return errors.Join(problems...)
	}
	for path, base := range paths {
		a, err := c.apply(ctx, path, base, "")
		if err == nil && a.Verdict != Admit {
			err = fmt.Errorf("make %s: %s", path, a)
		}
		if err != nil {
			return nil, errors.Join(err, remove(context.WithoutCancel(ctx)))
		}
	}
	return remove, nil
}

// remove deletes an object and waits until it is gone.
func (c *Cluster) remove(ctx context.Context, path string) error {
	code, message, err := c.ask(ctx, http.MethodDelete, path+"?gracePeriodSeconds=0&propagationPolicy=Background", "", nil)
	if err == nil && code >= 300 && code != http.StatusNotFound {
		err = fmt.Errorf("delete %s: HTTP %d: %s", path, code, message)
	}
	if err != nil {
		return err
	}
	return rig.Poll(ctx, 20*time.Second, 100*time.Millisecond, func(ctx context.Context) (string, error) {
		code, _, err := c.ask(ctx, http.MethodGet, path, "", nil)
		if err == nil && code != http.StatusNotFound {
			return path + " is still there", nil
		}
		return "", err
	})
}

func (c *Cluster) apply(ctx context.Context, path string, o object, more string) (Answer, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return Answer{}, err
	}
	return c.do(ctx, http.MethodPatch, path+"?force=true&fieldManager="+manager+"&"+strict+more, "application/apply-patch+yaml", body)
}

// Submit gives a case to the cluster, which keeps nothing of it. Of several
// documents the first refusal is the answer; Took is that of the slowest.
func (c *Cluster) Submit(ctx context.Context, each Case) (Answer, error) {
	var answer Answer
	for i, d := range each.Read() {
		a, err := c.submit(ctx, each, d)
		if err != nil {
			return Answer{}, fmt.Errorf("%s: %w", each.ID, err)
		}
		took := max(answer.Took, a.Took)
		if i == 0 || answer.Verdict == Admit {
			answer = a
		}
		answer.Took = took
	}
	return answer, nil
}

func (c *Cluster) submit(ctx context.Context, each Case, d Document) (Answer, error) {
	apiVersion, kind := apiVersionOf(each.Shape), each.Kind
	if d.Object != nil {
		apiVersion, kind = d.Object["apiVersion"].(string), d.Object["kind"].(string)
	}
	all := collection(apiVersion, kind, each.Namespace)
	switch each.Operation {
	case Update:
		d.Object["metadata"].(object)["name"] = BaseName(each.Shape)
		return c.apply(ctx, all+"/"+BaseName(each.Shape), d.Object, "&"+dryRun)
	case Debug:
		return c.Debug(ctx, each.Namespace, BaseName(each.Shape), d.Object["spec"].(object)["ephemeralContainers"].([]any)[0].(object))
	}
	return c.do(ctx, http.MethodPost, all+"?"+dryRun+"&"+strict, "application/yaml", d.Text)
}

func apiVersionOf(shape string) string { return shapeNamed(shape).object()["apiVersion"].(string) }

// Create submits one object, as a dry run into a namespace.
func (c *Cluster) Create(ctx context.Context, namespace string, o map[string]any) (Answer, error) {
	body, err := yaml.Marshal(o)
	if err != nil {
		return Answer{}, err
	}
	return c.do(ctx, http.MethodPost, collection(o["apiVersion"].(string), o["kind"].(string), namespace)+"?"+dryRun+"&"+strict, "application/yaml", body)
}

// Debug adds an ephemeral container to a pod, as a dry run.
func (c *Cluster) Debug(ctx context.Context, namespace, pod string, container map[string]any) (Answer, error) {
	body, err := json.Marshal(object{"spec": object{"ephemeralContainers": []any{container}}})
	if err != nil {
		return Answer{}, err
	}
	return c.do(ctx, http.MethodPatch, collection("v1", "Pod", namespace)+"/"+pod+"/ephemeralcontainers?"+dryRun+"&"+strict, "application/strategic-merge-patch+json", body)
}

func (c *Cluster) do(ctx context.Context, method, path, contentType string, body []byte) (Answer, error) {
	start := time.Now()
	code, text, err := c.ask(ctx, method, path, contentType, body)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Verdict: Admit, Code: code, Took: time.Since(start)}
	if code < 300 {
		return a, nil
	}
	var status metav1.Status
	if json.Unmarshal([]byte(text), &status) != nil || status.Message == "" {
		status.Message = text
	}
	a.Message = status.Message
	if a.Verdict, a.Mechanism, err = classify(code, &status); err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return a, nil
}

func (c *Cluster) ask(ctx context.Context, method, path, contentType string, body []byte) (code int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: %w", method, path, err)
	}
	return response.StatusCode, string(raw), nil
}

// KyvernoAnswers says whether Kyverno judges what is admitted: only it refuses a
// ConfigMap of the policy's name in the namespace for probes.
func (c *Cluster) KyvernoAnswers(ctx context.Context, namespace, policy string) (bool, error) {
	body, err := yaml.Marshal(object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": policy, "namespace": namespace}})
	if err != nil {
		return false, err
	}
	code, text, err := c.ask(ctx, http.MethodPost, collection("v1", "ConfigMap", namespace)+"?"+dryRun, "application/yaml", body)
	return err == nil && code >= 400 && strings.Contains(text, "Policy "+policy+" failed"), err
}

var (
	nativeRefusal  = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request`)
	kyvernoRefusal = regexp.MustCompile(`admission webhook "[^"]*kyverno[^"]*" denied the request: Policy (\S+) failed`)
	webhookRefusal = regexp.MustCompile(`admission webhook "[^"]+" denied the request`)
	// What decoders say, the API server's and those of webhooks.
	decoding = []string{"strict decoding error", "cannot unmarshal", "unable to decode", "cannot decode", "error converting YAML to JSON", "object provided is unrecognized", "unknown field", "cannot be handled as"}
)

// classify tells who refused. What nobody of the corpus should hit, such as a
// quota, a timeout or a missing right, is an error.
func classify(code int, status *metav1.Status) (Verdict, Mechanism, error) {
	if m := nativeRefusal.FindStringSubmatch(status.Message); m != nil {
		return known(m[1], ByNative, status)
	}
	if m := kyvernoRefusal.FindStringSubmatch(status.Message); m != nil {
		return known(m[1], ByKyverno, status)
	}
	says := func(text string) bool { return strings.Contains(status.Message, text) }
	switch {
	case says("exceeded quota"):
	case slices.ContainsFunc(decoding, says), wrongType(status):
		return Schema, "", nil
	case code == http.StatusNotFound && (says("could not find the requested resource") || says("page not found")):
		return Schema, "", nil
	case code == http.StatusUnprocessableEntity, code == http.StatusBadRequest, webhookRefusal.MatchString(status.Message):
		return API, "", nil
	}
	return "", "", fmt.Errorf("HTTP %d: %s", code, status.Message)
}

func known(policy string, by Mechanism, status *metav1.Status) (Verdict, Mechanism, error) {
	if !Verdict(policy).ByPolicy() {
		return "", "", fmt.Errorf("a policy that is none of the platform's refused: %s", status.Message)
	}
	return Verdict(policy), by, nil
}

// wrongType is what the schema of a CustomResourceDefinition says.
func wrongType(status *metav1.Status) bool {
	return status.Details != nil && slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeTypeInvalid
	})
}

// SubmitAll gives all cases to the cluster, some at the same time. Answers are in
// the order of the cases.
func (c *Cluster) SubmitAll(ctx context.Context, cases []Case) ([]Answer, error) {
	const parallel = 8
	answers, errs := make([]Answer, len(cases)), make([]error, len(cases))
	next := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				answers[i], errs[i] = c.Submit(ctx, cases[i])
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	workers.Wait()
	return answers, errors.Join(errs...)
}
