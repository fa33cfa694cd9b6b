// Package server speaks Pulumi's gRPC resource provider protocol for stand-ins: it
// turns requests into plain Go values, keeps secrets and
// unknowns intact, and keeps secrets out of errors.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Server answers the engine's requests with a Provider.
type Server struct {
	pulumirpc.UnimplementedResourceProviderServer
	provider Provider
	redactor Redactor
	secrets  atomic.Bool
}

// New makes a Server for the provider.
func New(p Provider) *Server { return &Server{provider: p} }

func (s *Server) in(fields *structpb.Struct) (resource.PropertyMap, error) {
	props, err := plugin.UnmarshalProperties(fields, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, SkipNulls: true})
	if err != nil {
		return nil, fmt.Errorf("reading properties from the engine: %w", err)
	}
	s.redactor.Learn(props)
	return props, nil
}

func (s *Server) out(props resource.PropertyMap) (*structpb.Struct, error) {
	s.redactor.Learn(props)
	return plugin.MarshalProperties(props, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: s.secrets.Load()})
}

// inAll reads several property maps at once.
func (s *Server) inAll(fields ...*structpb.Struct) ([]resource.PropertyMap, error) {
	maps := make([]resource.PropertyMap, len(fields))
	for i, f := range fields {
		props, err := s.in(f)
		if err != nil {
			return nil, err
		}
		maps[i] = props
	}
	return maps, nil
}

// fail turns an error into the protocol's. A failed request is reported as
// understood: the engine then records no operation of unknown outcome, since a
// failed one leaves nothing outside the state.
func (s *Server) fail(err error) error {
	code := codes.FailedPrecondition
	if errors.Is(err, errUnknown) {
		code = codes.Unimplemented
	}
	return status.Error(code, s.redactor.Text(err.Error()))
}

func (s *Server) Handshake(context.Context, *pulumirpc.ProviderHandshakeRequest) (*pulumirpc.ProviderHandshakeResponse, error) {
	s.secrets.Store(true)
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true}, nil
}

func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: s.provider.Version}, nil
}

func (s *Server) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	schema, err := json.Marshal(map[string]string{"name": s.provider.Package, "version": s.provider.Version})
	return &pulumirpc.GetSchemaResponse{Schema: string(schema)}, err
}

func (s *Server) GetMapping(context.Context, *pulumirpc.GetMappingRequest) (*pulumirpc.GetMappingResponse, error) {
	return &pulumirpc.GetMappingResponse{}, nil
}

func (s *Server) GetMappings(context.Context, *pulumirpc.GetMappingsRequest) (*pulumirpc.GetMappingsResponse, error) {
	return &pulumirpc.GetMappingsResponse{}, nil
}

func (s *Server) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (s *Server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	s.secrets.Store(true)
	return &pulumirpc.CheckResponse{Inputs: req.GetNews()}, nil
}

func (s *Server) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

func (s *Server) Configure(_ context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	s.secrets.Store(req.GetAcceptSecrets())
	if s.provider.Configure != nil {
		args, err := s.in(req.GetArgs())
		if err != nil {
			return nil, s.fail(err)
		}
		if err := s.provider.Configure(Values(Plain(args))); err != nil {
			return nil, s.fail(fmt.Errorf("configuring provider %s: %w", s.provider.Package, err))
		}
	}
	return &pulumirpc.ConfigureResponse{AcceptSecrets: true, SupportsPreview: true}, nil
}

func (s *Server) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	news, err := s.in(req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	inputs, failures := s.provider.check(resource.URN(req.GetUrn()), news)
	resp := &pulumirpc.CheckResponse{}
	if resp.Inputs, err = s.out(inputs); err != nil {
		return nil, s.fail(err)
	}
	for _, f := range failures {
		resp.Failures = append(resp.Failures, &pulumirpc.CheckFailure{Property: f.Property, Reason: s.redactor.Text(f.Reason)})
	}
	return resp, nil
}

func (s *Server) Diff(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	maps, err := s.inAll(req.GetOldInputs(), req.GetOlds(), req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	diff, err := s.provider.diff(resource.URN(req.GetUrn()), maps[0], maps[1], maps[2])
	if err != nil {
		return nil, s.fail(err)
	}
	return diff.response(), nil
}

func (s *Server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	inputs, err := s.in(req.GetProperties())
	if err != nil {
		return nil, s.fail(err)
	}
	id, outputs, err := s.provider.create(ctx, resource.URN(req.GetUrn()), inputs, req.GetPreview())
	if err != nil {
		return nil, s.fail(err)
	}
	fields, err := s.out(outputs)
	if err != nil {
		return nil, s.fail(err)
	}
	return &pulumirpc.CreateResponse{Id: id, Properties: fields}, nil
}

func (s *Server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	urn := resource.URN(req.GetUrn())
	if len(req.GetProperties().GetFields()) == 0 {
		return nil, s.fail(fmt.Errorf("%s cannot be imported: the stand-in knows only what it made itself", urn.Type()))
	}
	state, err := s.in(req.GetProperties())
	if err != nil {
		return nil, s.fail(err)
	}
	now, err := s.provider.read(ctx, urn, req.GetId(), state)
	if err != nil {
		return nil, s.fail(err)
	}
	if now == nil {
		return &pulumirpc.ReadResponse{}, nil
	}
	fields, err := s.out(now)
	if err != nil {
		return nil, s.fail(err)
	}
	return &pulumirpc.ReadResponse{Id: req.GetId(), Inputs: req.GetInputs(), Properties: fields}, nil
}

func (s *Server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	maps, err := s.inAll(req.GetOldInputs(), req.GetOlds(), req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	outputs, err := s.provider.change(ctx, resource.URN(req.GetUrn()), req.GetId(), maps[0], maps[1], maps[2], req.GetPreview())
	if err != nil {
		return nil, s.fail(err)
	}
	fields, err := s.out(outputs)
	if err != nil {
		return nil, s.fail(err)
	}
	return &pulumirpc.UpdateResponse{Properties: fields}, nil
}

func (s *Server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	state, err := s.in(req.GetProperties())
	if err != nil {
		return nil, s.fail(err)
	}
	if err := s.provider.remove(ctx, resource.URN(req.GetUrn()), req.GetId(), state); err != nil {
		return nil, s.fail(err)
	}
	return &emptypb.Empty{}, nil
}

func (s *Server) Invoke(_ context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	return nil, s.fail(fmt.Errorf("function %s: the stand-in for provider %s has no functions: %w", req.GetTok(), s.provider.Package, errUnknown))
}

func (s *Server) Construct(_ context.Context, req *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	return nil, s.fail(fmt.Errorf("%s: the stand-in for provider %s has no remote components: %w", req.GetType(), s.provider.Package, errUnknown))
}
