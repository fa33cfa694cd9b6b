package kube

import (
	"context"
	"net"
	"net/http"
	"time"
)

// HTTP is a client whose every request goes to a ready pod behind a port of a
// Service, through the API server, whatever host it names.
func (c *Cluster) HTTP(namespace, service string, port int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // a connection is one forward, and has no more use
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			pod, podPort, err := PodOf(ctx, c.Dynamic, namespace, service, port)
			if err != nil {
				return nil, err
			}
			return c.DialContext(ctx, namespace, pod, podPort)
		},
	}}
}

// DialContext is Dial for those that want a net.Conn. It has no deadlines: whoever
// does not end with a request's context has to close it.
func (c *Cluster) DialContext(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
	conn, err := c.Dial(ctx, namespace, pod, port)
	if err != nil {
		return nil, err
	}
	return netConn{conn}, nil
}

// netConn is a PodConn as net/http wants it. It has no deadlines: who is asked ends
// with the request's context.
type netConn struct{ *PodConn }

type podAddress struct{}

func (podAddress) Network() string { return "pod" }
func (podAddress) String() string  { return "pod" }

func (netConn) LocalAddr() net.Addr              { return podAddress{} }
func (netConn) RemoteAddr() net.Addr             { return podAddress{} }
func (netConn) SetDeadline(time.Time) error      { return nil }
func (netConn) SetReadDeadline(time.Time) error  { return nil }
func (netConn) SetWriteDeadline(time.Time) error { return nil }
