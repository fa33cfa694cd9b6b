// Package servertest drives a provider in tests as the engine does: over the
// gRPC protocol, with secrets and unknown values as they travel.
package servertest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/provider/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Props are properties as a test writes them.
type Props = resource.PropertyMap

// Engine is the engine's side of one provider.
type Engine struct {
	pulumirpc.UnimplementedEngineServer
	t      *testing.T
	Client pulumirpc.ResourceProviderClient

	mu   sync.Mutex
	logs []*pulumirpc.LogRequest
}

// Start serves the provider and completes the handshake. Everything ends with
// the test.
func Start(t *testing.T, build func(*server.Host) server.Provider) *Engine {
	t.Helper()
	e := &Engine{t: t}
	engineConn := dial(t, func(s *grpc.Server) { pulumirpc.RegisterEngineServer(s, e) })
	srv := server.New(build(server.NewHost(engineConn)), server.NewHost(engineConn))
	e.Client = pulumirpc.NewResourceProviderClient(dial(t, func(s *grpc.Server) { pulumirpc.RegisterResourceProviderServer(s, srv) }))
	_, err := e.Client.Handshake(t.Context(), &pulumirpc.ProviderHandshakeRequest{})
	require.NoError(t, err)
	return e
}

func dial(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	register(s)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Log takes the provider's messages.
func (e *Engine) Log(_ context.Context, req *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.logs = append(e.logs, req)
	return &emptypb.Empty{}, nil
}

// Messages are what the provider reported so far, with the given severity.
func (e *Engine) Messages(severity pulumirpc.LogSeverity) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var messages []string
	for _, entry := range e.logs {
		if entry.GetSeverity() == severity {
			messages = append(messages, entry.GetMessage())
		}
	}
	return messages
}

// URN names a resource of a type.
func URN(token, name string) resource.URN {
	return resource.URN("urn:pulumi:test::neuroscale::" + token + "::" + name)
}

// Marshal turns properties into the protocol's form, unknowns and secrets kept.
func Marshal(t *testing.T, props Props) *structpb.Struct {
	t.Helper()
	out, err := plugin.MarshalProperties(props, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return out
}

// Unmarshal is the reverse of Marshal.
func Unmarshal(t *testing.T, fields *structpb.Struct) Props {
	t.Helper()
	props, err := plugin.UnmarshalProperties(fields, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return props
}

// Configure configures the provider.
func (e *Engine) Configure(inputs Props) {
	e.t.Helper()
	_, err := e.Client.Configure(context.Background(), &pulumirpc.ConfigureRequest{
		Args: Marshal(e.t, inputs), AcceptSecrets: true, SendsOldInputs: true, SendsOldInputsToDelete: true,
	})
	require.NoError(e.t, err)
}

// Check checks inputs and returns them complete, with the refusals.
func (e *Engine) Check(urn resource.URN, olds, news Props) (Props, []*pulumirpc.CheckFailure) {
	e.t.Helper()
	resp, err := e.Client.Check(context.Background(), &pulumirpc.CheckRequest{
		Urn: string(urn), Olds: Marshal(e.t, olds), News: Marshal(e.t, news), RandomSeed: []byte(urn),
	})
	require.NoError(e.t, err)
	return Unmarshal(e.t, resp.GetInputs()), resp.GetFailures()
}

// Resource is a resource in the state.
type Resource struct {
	URN             resource.URN
	ID              string
	Inputs, Outputs Props
}

// TryCreate checks and creates a resource with a time limit in seconds, zero for
// none. When it was created but is not ready, the resource is returned with the
// reasons.
func (e *Engine) TryCreate(urn resource.URN, news Props, timeout float64) (Resource, []string, error) {
	e.t.Helper()
	inputs, failures := e.Check(urn, nil, news)
	require.Empty(e.t, failures)
	resp, err := e.Client.Create(context.Background(), &pulumirpc.CreateRequest{
		Urn: string(urn), Properties: Marshal(e.t, inputs), Timeout: timeout,
	})
	if err != nil {
		partial, reasons := e.partial(err)
		partial.URN, partial.Inputs = urn, inputs
		return partial, reasons, err
	}
	return Resource{URN: urn, ID: resp.GetId(), Inputs: inputs, Outputs: Unmarshal(e.t, resp.GetProperties())}, nil, nil
}

// Create checks and creates a resource, which must succeed.
func (e *Engine) Create(urn resource.URN, news Props) Resource {
	e.t.Helper()
	r, _, err := e.TryCreate(urn, news, 0)
	require.NoError(e.t, err)
	return r
}

func (e *Engine) partial(err error) (Resource, []string) {
	e.t.Helper()
	for _, detail := range status.Convert(err).Details() {
		if init, ok := detail.(*pulumirpc.ErrorResourceInitFailed); ok {
			return Resource{ID: init.GetId(), Outputs: Unmarshal(e.t, init.GetProperties())}, init.GetReasons()
		}
	}
	return Resource{}, nil
}

// Diff compares a resource with new inputs, after checking them.
func (e *Engine) Diff(r Resource, news Props) *pulumirpc.DiffResponse {
	e.t.Helper()
	inputs, failures := e.Check(r.URN, r.Inputs, news)
	require.Empty(e.t, failures)
	resp, err := e.Client.Diff(context.Background(), &pulumirpc.DiffRequest{
		Id: r.ID, Urn: string(r.URN), Olds: Marshal(e.t, r.Outputs), OldInputs: Marshal(e.t, r.Inputs), News: Marshal(e.t, inputs),
	})
	require.NoError(e.t, err)
	return resp
}

// TryUpdate checks new inputs and updates a resource with a time limit in
// seconds, zero for none.
func (e *Engine) TryUpdate(r Resource, news Props, timeout float64) (Resource, []string, error) {
	e.t.Helper()
	inputs, failures := e.Check(r.URN, r.Inputs, news)
	require.Empty(e.t, failures)
	resp, err := e.Client.Update(context.Background(), &pulumirpc.UpdateRequest{
		Id: r.ID, Urn: string(r.URN), Olds: Marshal(e.t, r.Outputs), OldInputs: Marshal(e.t, r.Inputs), News: Marshal(e.t, inputs), Timeout: timeout,
	})
	if err != nil {
		partial, reasons := e.partial(err)
		partial.URN, partial.Inputs = r.URN, inputs
		return partial, reasons, err
	}
	return Resource{URN: r.URN, ID: r.ID, Inputs: inputs, Outputs: Unmarshal(e.t, resp.GetProperties())}, nil, nil
}

// Update updates a resource, which must succeed.
func (e *Engine) Update(r Resource, news Props) Resource {
	e.t.Helper()
	updated, _, err := e.TryUpdate(r, news, 0)
	require.NoError(e.t, err)
	return updated
}

// Read reads a resource again; without inputs and outputs it imports it. ok is
// false when it is gone.
func (e *Engine) Read(r Resource) (found Resource, ok bool, err error) {
	e.t.Helper()
	resp, err := e.Client.Read(context.Background(), &pulumirpc.ReadRequest{
		Id: r.ID, Urn: string(r.URN), Properties: Marshal(e.t, r.Outputs), Inputs: Marshal(e.t, r.Inputs),
	})
	if err != nil {
		return Resource{}, false, err
	}
	return Resource{
		URN: r.URN, ID: resp.GetId(), Inputs: Unmarshal(e.t, resp.GetInputs()), Outputs: Unmarshal(e.t, resp.GetProperties()),
	}, resp.GetId() != "", nil
}

// Delete deletes a resource with a time limit in seconds, zero for none.
func (e *Engine) Delete(r Resource, timeout float64) error {
	e.t.Helper()
	_, err := e.Client.Delete(context.Background(), &pulumirpc.DeleteRequest{
		Id: r.ID, Urn: string(r.URN), Properties: Marshal(e.t, r.Outputs), OldInputs: Marshal(e.t, r.Inputs), Timeout: timeout,
	})
	return err
}

// PreviewCreate checks inputs and asks what creating would give.
func (e *Engine) PreviewCreate(urn resource.URN, news Props) (Props, error) {
	e.t.Helper()
	inputs, failures := e.Check(urn, nil, news)
	require.Empty(e.t, failures)
	resp, err := e.Client.Create(context.Background(), &pulumirpc.CreateRequest{Urn: string(urn), Properties: Marshal(e.t, inputs), Preview: true})
	if err != nil {
		return nil, err
	}
	return Unmarshal(e.t, resp.GetProperties()), nil
}
