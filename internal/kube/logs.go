package kube

import (
	"context"
	"strconv"
)

// Logs are the last lines of a container's log, of its previous run if asked for.
func (c *Cluster) Logs(ctx context.Context, namespace, pod, container string, lines int, previous bool) (string, error) {
	raw, err := c.rest.Get().AbsPath("/api/v1/namespaces", namespace, "pods", pod, "log").
		Param("container", container).Param("tailLines", strconv.Itoa(lines)).
		Param("previous", strconv.FormatBool(previous)).DoRaw(ctx)
	return string(raw), err
}
