package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// Diagnose tells what a person would look at first when something is wrong: the
// Applications, pods that are not ready, the last events, and the end of the
// logs of pods that failed. What cannot be read is said and left out.
func (c *Cluster) Diagnose(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var out strings.Builder
	c.diagnoseApplications(ctx, &out)
	c.diagnosePods(ctx, &out)
	c.diagnoseEvents(ctx, &out)
	return out.String()
}

func (c *Cluster) diagnoseApplications(ctx context.Context, out io.Writer) {
	apps, err := c.List(ctx, kube.Applications, "")
	fmt.Fprintf(out, "applications: %d%s\n", len(apps), because(err))
	for i := range apps {
		a := &apps[i]
		fmt.Fprintf(out, "  %s: %s, %s, at %s, operation %s %s\n", a.GetName(), Text(a, "status", "sync", "status"),
			Text(a, "status", "health", "status"), Text(a, "spec", "source", "targetRevision"),
			Text(a, "status", "operationState", "phase"), shorten(Text(a, "status", "operationState", "message")))
		conditions, _, _ := unstructured.NestedSlice(a.Object, "status", "conditions")
		for _, condition := range conditions {
			if m, ok := condition.(map[string]any); ok {
				fmt.Fprintf(out, "    %v: %s\n", m["type"], shorten(fmt.Sprint(m["message"])))
			}
		}
	}
}

func (c *Cluster) diagnosePods(ctx context.Context, out io.Writer) {
	pods, err := c.List(ctx, kube.Pods, "")
	fmt.Fprintf(out, "pods not ready, of %d%s:\n", len(pods), because(err))
	logs := 0
	for i := range pods {
		p := &pods[i]
		why := kube.NotReady(p)
		if why == "" {
			continue
		}
		fmt.Fprintf(out, "  %s/%s: %s\n", p.GetNamespace(), p.GetName(), why)
		for _, container := range containerStates(p) {
			fmt.Fprintf(out, "    %s\n", container.text)
			if container.ended && logs < 8 {
				logs++
				fmt.Fprintf(out, "      %s\n", strings.ReplaceAll(c.logs(ctx, p, container.name), "\n", "\n      "))
			}
		}
	}
}

type containerState struct {
	name, text string
	// ended says that it failed at least once, so its log is worth reading.
	ended bool
}

func containerStates(pod *unstructured.Unstructured) []containerState {
	var found []containerState
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		list, _, _ := unstructured.NestedSlice(pod.Object, "status", field)
		for _, entry := range list {
			m, ok := entry.(map[string]any)
			if !ok || m["ready"] == true {
				continue
			}
			name, _ := m["name"].(string)
			state, _ := m["state"].(map[string]any)
			_, last, _ := unstructured.NestedMap(m, "lastState", "terminated")
			code, now, _ := unstructured.NestedInt64(m, "state", "terminated", "exitCode")
			restarts, _ := m["restartCount"].(int64)
			found = append(found, containerState{
				name:  name,
				text:  fmt.Sprintf("%s: %d restarts, %s", name, restarts, shorten(fmt.Sprint(state))),
				ended: last || now && code != 0,
			})
		}
	}
	return found
}

func (c *Cluster) logs(ctx context.Context, pod *unstructured.Unstructured, container string) string {
	url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=15", c.server, pod.GetNamespace(), pod.GetName(), container)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 8<<10))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(body))
}

// JobLogs is what the pods of a Job said.
func (c *Cluster) JobLogs(ctx context.Context, namespace, job string) (string, error) {
	pods, err := c.List(ctx, kube.Pods, namespace)
	if err != nil {
		return "", err
	}
	var all []string
	for i := range pods {
		if pods[i].GetLabels()["batch.kubernetes.io/job-name"] == job {
			all = append(all, c.logs(ctx, &pods[i], ""))
		}
	}
	if len(all) == 0 {
		return "", fmt.Errorf("job %s/%s has no pod", namespace, job)
	}
	return strings.Join(all, "\n"), nil
}

func (c *Cluster) diagnoseEvents(ctx context.Context, out io.Writer) {
	events, err := c.List(ctx, kube.Events, "")
	events = slices.DeleteFunc(events, func(e unstructured.Unstructured) bool { return Text(&e, "type") == "Normal" })
	slices.SortFunc(events, func(a, b unstructured.Unstructured) int { return strings.Compare(eventTime(&a), eventTime(&b)) })
	fmt.Fprintf(out, "last warnings of %d%s:\n", len(events), because(err))
	for _, e := range events[max(0, len(events)-20):] {
		fmt.Fprintf(out, "  %s %s/%s %s: %s\n", eventTime(&e), Text(&e, "involvedObject", "namespace"),
			Text(&e, "involvedObject", "name"), Text(&e, "reason"), shorten(Text(&e, "message")))
	}
}

func eventTime(e *unstructured.Unstructured) string {
	for _, field := range []string{"lastTimestamp", "eventTime"} {
		if t := Text(e, field); t != "" {
			return t
		}
	}
	return e.GetCreationTimestamp().UTC().Format(time.RFC3339)
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(" (%v)", err)
}

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 400 {
		return s[:400] + "..."
	}
	return s
}
