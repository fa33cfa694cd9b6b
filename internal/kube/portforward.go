package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// PodConn is a connection to a port of a pod, through the API server.
type PodConn struct {
	connection httpstream.Connection
	data       httpstream.Stream
}

// Read reads what the pod sends.
func (c *PodConn) Read(p []byte) (int, error) { return c.data.Read(p) }

// Write sends to the pod.
func (c *PodConn) Write(p []byte) (int, error) { return c.data.Write(p) }

// CloseWrite says that nothing more will be sent.
func (c *PodConn) CloseWrite() error { return c.data.Close() }

// Close ends the connection both ways.
func (c *PodConn) Close() error { return errors.Join(c.data.Reset(), c.connection.Close()) }

// Dial connects to a port of a pod. That the pod does not listen there is only
// known when nothing can be read.
func (c *Cluster) Dial(ctx context.Context, namespace, pod string, port int) (*PodConn, error) {
	dialer, err := c.podDialer(namespace, pod)
	if err != nil {
		return nil, err
	}
	type dialled struct {
		connection httpstream.Connection
		err        error
	}
	result := make(chan dialled, 1)
	go func() {
		connection, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		result <- dialled{connection, err}
	}()
	var d dialled
	select {
	case d = <-result:
	case <-ctx.Done():
		go func() {
			if late := <-result; late.err == nil {
				_ = late.connection.Close()
			}
		}()
		return nil, ctx.Err()
	}
	if d.err != nil {
		return nil, fmt.Errorf("connect to pod %s/%s: %w", namespace, pod, d.err)
	}
	data, err := streams(d.connection, port)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to port %d of pod %s/%s: %w", port, namespace, pod, err), d.connection.Close())
	}
	return &PodConn{connection: d.connection, data: data}, nil
}

func (c *Cluster) podDialer(namespace, pod string) (httpstream.Dialer, error) {
	url := c.rest.Post().AbsPath("/api/v1/namespaces", namespace, "pods", pod, "portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return nil, err
	}
	websocket, err := portforward.NewSPDYOverWebsocketDialer(url, c.Config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	return portforward.NewFallbackDialer(websocket, older, noWebSocket), nil
}

// streams opens the two that one forwarded connection has. What comes on the first
// is why the second ends.
func streams(connection httpstream.Connection, port int) (data httpstream.Stream, err error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	if err := failures.Close(); err != nil {
		return nil, err
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	if data, err = connection.CreateStream(headers); err != nil {
		return nil, err
	}
	go func() {
		if said, _ := io.ReadAll(failures); len(said) > 0 {
			_ = data.Reset()
			_ = connection.Close()
		}
	}()
	return data, nil
}
