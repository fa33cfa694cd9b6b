// Package servertest drives a stand-in in tests as the engine does: over the
// gRPC protocol, with secrets and unknown values as they travel.
package servertest

import (
	"context"
	"net"
	"testing"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"
)

// Props are properties as a test writes them.
type Props = resource.PropertyMap

// Engine is the engine's side of one provider.
type Engine struct {
	t      *testing.T
	client pulumirpc.ResourceProviderClient
}

// Start serves the provider and completes the handshake. Everything ends with
// the test.
func Start(t *testing.T, p server.Provider) *Engine {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	pulumirpc.RegisterResourceProviderServer(s, server.New(p))
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	e := &Engine{t: t, client: pulumirpc.NewResourceProviderClient(conn)}
	_, err = e.client.Handshake(t.Context(), &pulumirpc.ProviderHandshakeRequest{})
	require.NoError(t, err)
	_, err = e.client.Configure(t.Context(), &pulumirpc.ConfigureRequest{AcceptSecrets: true, SendsOldInputs: true, SendsOldInputsToDelete: true})
	require.NoError(t, err)
	return e
}

// URN names a resource of a type.
func URN(token, name string) resource.URN {
	return resource.URN("urn:pulumi:test::neuroscale::" + token + "::" + name)
}

func (e *Engine) marshal(props Props) *structpb.Struct {
	e.t.Helper()
	out, err := plugin.MarshalProperties(props, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(e.t, err)
	return out
}

func (e *Engine) unmarshal(fields *structpb.Struct) Props {
	e.t.Helper()
	props, err := plugin.UnmarshalProperties(fields, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(e.t, err)
	return props
}

// Check checks inputs and returns them complete, with the refusals.
func (e *Engine) Check(urn resource.URN, olds, news Props) (Props, []*pulumirpc.CheckFailure) {
	e.t.Helper()
	resp, err := e.client.Check(e.t.Context(), &pulumirpc.CheckRequest{
		Urn: string(urn), Olds: e.marshal(olds), News: e.marshal(news), RandomSeed: []byte(urn),
	})
	require.NoError(e.t, err)
	return e.unmarshal(resp.GetInputs()), resp.GetFailures()
}

// Resource is a resource in the state.
type Resource struct {
	URN             resource.URN
	ID              string
	Inputs, Outputs Props
}

// Create checks and creates a resource.
func (e *Engine) Create(urn resource.URN, news Props) Resource {
	e.t.Helper()
	inputs, resp := e.create(urn, news, false)
	return Resource{URN: urn, ID: resp.GetId(), Inputs: inputs, Outputs: e.unmarshal(resp.GetProperties())}
}

// PreviewCreate checks inputs and asks what creating would give.
func (e *Engine) PreviewCreate(urn resource.URN, news Props) Props {
	e.t.Helper()
	_, resp := e.create(urn, news, true)
	return e.unmarshal(resp.GetProperties())
}

// TryCreate is Create for what may fail, of inputs that are well.
func (e *Engine) TryCreate(urn resource.URN, news Props) error {
	e.t.Helper()
	inputs, failures := e.Check(urn, nil, news)
	require.Empty(e.t, failures)
	_, err := e.client.Create(e.t.Context(), &pulumirpc.CreateRequest{Urn: string(urn), Properties: e.marshal(inputs)})
	return err
}

func (e *Engine) create(urn resource.URN, news Props, preview bool) (Props, *pulumirpc.CreateResponse) {
	e.t.Helper()
	inputs, failures := e.Check(urn, nil, news)
	require.Empty(e.t, failures)
	resp, err := e.client.Create(e.t.Context(), &pulumirpc.CreateRequest{Urn: string(urn), Properties: e.marshal(inputs), Preview: preview})
	require.NoError(e.t, err)
	return inputs, resp
}

// Diff compares a resource with new inputs, after checking them.
func (e *Engine) Diff(r Resource, news Props) *pulumirpc.DiffResponse {
	e.t.Helper()
	inputs, failures := e.Check(r.URN, r.Inputs, news)
	require.Empty(e.t, failures)
	resp, err := e.client.Diff(e.t.Context(), &pulumirpc.DiffRequest{
		Id: r.ID, Urn: string(r.URN), Olds: e.marshal(r.Outputs), OldInputs: e.marshal(r.Inputs), News: e.marshal(inputs),
	})
	require.NoError(e.t, err)
	return resp
}

// Update checks new inputs and updates a resource.
func (e *Engine) Update(r Resource, news Props) Resource {
	e.t.Helper()
	inputs, outputs := e.update(r, news, false)
	return Resource{URN: r.URN, ID: r.ID, Inputs: inputs, Outputs: outputs}
}

// PreviewUpdate checks new inputs and asks what updating would give.
func (e *Engine) PreviewUpdate(r Resource, news Props) Props {
	e.t.Helper()
	_, outputs := e.update(r, news, true)
	return outputs
}

func (e *Engine) update(r Resource, news Props, preview bool) (inputs, outputs Props) {
	e.t.Helper()
	inputs, failures := e.Check(r.URN, r.Inputs, news)
	require.Empty(e.t, failures)
	resp, err := e.client.Update(e.t.Context(), &pulumirpc.UpdateRequest{
		Id: r.ID, Urn: string(r.URN), Olds: e.marshal(r.Outputs), OldInputs: e.marshal(r.Inputs), News: e.marshal(inputs), Preview: preview,
	})
	require.NoError(e.t, err)
	return inputs, e.unmarshal(resp.GetProperties())
}

// Read reads a resource again; without outputs it imports it.
func (e *Engine) Read(r Resource) (Resource, error) {
	e.t.Helper()
	resp, err := e.client.Read(e.t.Context(), &pulumirpc.ReadRequest{
		Id: r.ID, Urn: string(r.URN), Properties: e.marshal(r.Outputs), Inputs: e.marshal(r.Inputs),
	})
	if err != nil {
		return Resource{}, err
	}
	return Resource{URN: r.URN, ID: resp.GetId(), Inputs: e.unmarshal(resp.GetInputs()), Outputs: e.unmarshal(resp.GetProperties())}, nil
}

// Delete deletes a resource.
func (e *Engine) Delete(r Resource) {
	e.t.Helper()
	_, err := e.client.Delete(e.t.Context(), &pulumirpc.DeleteRequest{
		Id: r.ID, Urn: string(r.URN), Properties: e.marshal(r.Outputs), OldInputs: e.marshal(r.Inputs),
	})
	require.NoError(e.t, err)
}
