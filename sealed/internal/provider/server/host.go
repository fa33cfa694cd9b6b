package server

import (
	"context"
	"log/slog"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// Host is the engine as the provider sees it: the place for what a person
// should read beside the resource concerned. The zero Host writes to the log.
type Host struct {
	Redactor
	engine pulumirpc.EngineClient
}

// NewHost reports to the engine behind the connection, or only to the log when
// there is none.
func NewHost(conn grpc.ClientConnInterface) *Host {
	if conn == nil {
		return &Host{}
	}
	return &Host{engine: pulumirpc.NewEngineClient(conn)}
}

// Warn shows a warning beside the resource.
func (h *Host) Warn(ctx context.Context, urn resource.URN, message string) {
	h.send(ctx, &pulumirpc.LogRequest{Severity: pulumirpc.LogSeverity_WARNING, Urn: string(urn), Message: h.Text(message)})
}

// Status shows what the resource is waiting for; the next status replaces it.
func (h *Host) Status(ctx context.Context, urn resource.URN, message string) {
	h.send(ctx, &pulumirpc.LogRequest{
		Severity: pulumirpc.LogSeverity_INFO, Urn: string(urn), Message: h.Text(message), Ephemeral: true,
	})
}

func (h *Host) send(ctx context.Context, req *pulumirpc.LogRequest) {
	if h.engine == nil {
		slog.Debug(req.Message, "urn", req.Urn)
		return
	}
	// The engine may already be gone; then there is nobody to tell.
	if _, err := h.engine.Log(ctx, req); err != nil {
		slog.Debug("the engine took no message", "error", err)
	}
}
