package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

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
	provider  Provider
	host      *Host
	secrets   atomic.Bool
	cancelled context.Context
	cancel    context.CancelFunc
}

// New makes a Server for the provider.
func New(p Provider, host *Host) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{provider: p, host: host, cancelled: ctx, cancel: cancel}
}

// request ties a request's context to the engine's cancellation.
func (s *Server) request(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.cancelled, cancel)
	return ctx, func() { stop(); cancel() }
}

func (s *Server) in(fields *structpb.Struct) (resource.PropertyMap, error) {
	props, err := plugin.UnmarshalProperties(fields, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, SkipNulls: true})
	if err != nil {
		return nil, fmt.Errorf("reading properties from the engine: %w", err)
	}
	s.host.Learn(props)
	return props, nil
}

func (s *Server) out(props resource.PropertyMap) (*structpb.Struct, error) {
	s.host.Learn(props)
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
// understood: the engine then records no operation of unknown outcome, since
// applying again is always safe here.
func (s *Server) fail(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrNotSupported) {
		return status.Error(codes.Unimplemented, s.host.Text(err.Error()))
	}
	var initErr *InitError
	if !errors.As(err, &initErr) {
		return status.Error(codes.FailedPrecondition, s.host.Text(err.Error()))
	}
	detail := &pulumirpc.ErrorResourceInitFailed{Id: initErr.ID}
	for _, reason := range initErr.Reasons {
		detail.Reasons = append(detail.Reasons, s.host.Text(reason))
	}
	var marshalErr error
	if detail.Properties, marshalErr = s.out(initErr.Outputs); marshalErr != nil {
		return marshalErr
	}
	if detail.Inputs, marshalErr = s.out(initErr.Inputs); marshalErr != nil {
		return marshalErr
	}
	st, marshalErr := status.New(codes.Unknown, s.host.Text(err.Error())).WithDetails(detail)
	if marshalErr != nil {
		return marshalErr
	}
	return st.Err()
}

func (s *Server) Handshake(context.Context, *pulumirpc.ProviderHandshakeRequest) (*pulumirpc.ProviderHandshakeResponse, error) {
	s.secrets.Store(true)
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true, SupportsAutonamingConfiguration: true}, nil
}

func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: s.provider.Version()}, nil
}

func (s *Server) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	schema, err := json.Marshal(map[string]string{"name": s.provider.Name(), "version": s.provider.Version()})
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
	s.cancel()
	return &emptypb.Empty{}, nil
}

func (s *Server) CheckConfig(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	s.secrets.Store(true)
	ctx, done := s.request(ctx)
	defer done()
	news, err := s.in(req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	inputs, failures, err := s.provider.CheckConfig(ctx, news)
	return s.checked(inputs, failures, err)
}

func (s *Server) DiffConfig(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	ctx, done := s.request(ctx)
	defer done()
	maps, err := s.inAll(req.GetOldInputs(), req.GetOlds(), req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	olds := maps[0]
	if len(olds) == 0 {
		olds = maps[1]
	}
	diff, err := s.provider.DiffConfig(ctx, olds, maps[2])
	if err != nil {
		return nil, s.fail(err)
	}
	return diff.response(), nil
}

func (s *Server) Configure(ctx context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	s.secrets.Store(req.GetAcceptSecrets())
	ctx, done := s.request(ctx)
	defer done()
	inputs, err := s.in(req.GetArgs())
	if err == nil {
		err = s.provider.Configure(ctx, inputs)
	}
	if err != nil {
		return nil, s.fail(err)
	}
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true, SupportsAutonamingConfiguration: true,
	}, nil
}

func (s *Server) Check(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	ctx, done := s.request(ctx)
	defer done()
	maps, err := s.inAll(req.GetOlds(), req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	check := CheckRequest{URN: resource.URN(req.GetUrn()), Olds: maps[0], News: maps[1], RandomSeed: req.GetRandomSeed()}
	if a := req.GetAutonaming(); a != nil {
		check.Autonaming = &Autonaming{
			Proposed: a.GetProposedName(),
			Disabled: a.GetMode() == pulumirpc.CheckRequest_AutonamingOptions_DISABLE,
		}
	}
	inputs, failures, err := s.provider.Check(ctx, check)
	return s.checked(inputs, failures, err)
}

func (s *Server) checked(inputs resource.PropertyMap, failures []Failure, err error) (*pulumirpc.CheckResponse, error) {
	if err != nil {
		return nil, s.fail(err)
	}
	fields, err := s.out(inputs)
	if err != nil {
		return nil, s.fail(err)
	}
	return &pulumirpc.CheckResponse{Inputs: fields, Failures: s.failures(failures)}, nil
}

func (s *Server) failures(failures []Failure) []*pulumirpc.CheckFailure {
	var out []*pulumirpc.CheckFailure
	for _, f := range failures {
		out = append(out, &pulumirpc.CheckFailure{Property: f.Property, Reason: s.host.Text(f.Reason)})
	}
	return out
}

func (s *Server) Diff(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	ctx, done := s.request(ctx)
	defer done()
	maps, err := s.inAll(req.GetOldInputs(), req.GetOlds(), req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	diff, err := s.provider.Diff(ctx, DiffRequest{
		URN: resource.URN(req.GetUrn()), ID: req.GetId(), OldInputs: maps[0], OldOutputs: maps[1], NewInputs: maps[2],
	})
	if err != nil {
		return nil, s.fail(err)
	}
	return diff.response(), nil
}

func (s *Server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	ctx, done := s.request(ctx)
	defer done()
	inputs, err := s.in(req.GetProperties())
	if err != nil {
		return nil, s.fail(err)
	}
	id, outputs, err := s.provider.Create(ctx, CreateRequest{
		URN: resource.URN(req.GetUrn()), Inputs: inputs, Timeout: seconds(req.GetTimeout()), Preview: req.GetPreview(),
	})
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
	ctx, done := s.request(ctx)
	defer done()
	maps, err := s.inAll(req.GetInputs(), req.GetProperties())
	if err != nil {
		return nil, s.fail(err)
	}
	state, err := s.provider.Read(ctx, ReadRequest{
		URN: resource.URN(req.GetUrn()), ID: req.GetId(), Inputs: maps[0], Outputs: maps[1],
	})
	if err != nil {
		return nil, s.fail(err)
	}
	resp := &pulumirpc.ReadResponse{Id: state.ID}
	if resp.Inputs, err = s.out(state.Inputs); err != nil {
		return nil, s.fail(err)
	}
	if resp.Properties, err = s.out(state.Outputs); err != nil {
		return nil, s.fail(err)
	}
	return resp, nil
}

func (s *Server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	ctx, done := s.request(ctx)
	defer done()
	maps, err := s.inAll(req.GetOldInputs(), req.GetOlds(), req.GetNews())
	if err != nil {
		return nil, s.fail(err)
	}
	outputs, err := s.provider.Update(ctx, UpdateRequest{
		URN: resource.URN(req.GetUrn()), ID: req.GetId(), OldInputs: maps[0], OldOutputs: maps[1], NewInputs: maps[2],
		Timeout: seconds(req.GetTimeout()), Preview: req.GetPreview(),
	})
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
	ctx, done := s.request(ctx)
	defer done()
	maps, err := s.inAll(req.GetOldInputs(), req.GetProperties())
	if err != nil {
		return nil, s.fail(err)
	}
	err = s.provider.Delete(ctx, DeleteRequest{
		URN: resource.URN(req.GetUrn()), ID: req.GetId(), Inputs: maps[0], Outputs: maps[1], Timeout: seconds(req.GetTimeout()),
	})
	return &emptypb.Empty{}, s.fail(err)
}

func (s *Server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	ctx, done := s.request(ctx)
	defer done()
	args, err := s.in(req.GetArgs())
	if err != nil {
		return nil, s.fail(err)
	}
	result, failures, err := s.provider.Invoke(ctx, req.GetTok(), args)
	if err != nil {
		return nil, s.fail(err)
	}
	fields, err := s.out(result)
	if err != nil {
		return nil, s.fail(err)
	}
	return &pulumirpc.InvokeResponse{Return: fields, Failures: s.failures(failures)}, nil
}

func (s *Server) Construct(_ context.Context, req *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	return nil, s.fail(fmt.Errorf("%s: the stand-in for provider %s has no remote components: %w",
		req.GetType(), s.provider.Name(), ErrNotSupported))
}

// seconds turns the protocol's seconds into a duration; zero means no limit given.
func seconds(s float64) time.Duration {
	if s <= 0 || s > math.MaxInt32 {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}
