package kube

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// noWebSocket is whether the API server, or a proxy before it, speaks only the older
// protocol.
func noWebSocket(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// Exec runs a command in the first container of a pod. An error has the end of what
// the command said on standard error.
func (c *Cluster) Exec(ctx context.Context, namespace, pod string, command []string, stdin io.Reader, stdout io.Writer) error {
	url := c.rest.Post().AbsPath("/api/v1/namespaces", namespace, "pods", pod, "exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdin: stdin != nil, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	spdy, err := remotecommand.NewSPDYExecutor(c.Config, "POST", url)
	if err != nil {
		return err
	}
	websocket, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", url.String())
	if err != nil {
		return err
	}
	executor, err := remotecommand.NewFallbackExecutor(websocket, spdy, noWebSocket)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: &said})
	if err != nil {
		return fmt.Errorf("in pod %s/%s: %w: %s", namespace, pod, err, strings.TrimSpace(said.String()))
	}
	return nil
}
