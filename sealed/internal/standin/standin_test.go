package standin

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/plugins"
)

func TestStandInsAreOfTheVersionsThatAreNeeded(t *testing.T) {
	for name, build := range Providers {
		p := build()
		assert.Equal(t, plugins.Needed[name], p.Version)
		assert.Equal(t, name, p.Package)
	}
}

func TestProcessAnnouncesItselfAndEndsWithItsEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	binary := filepath.Join(t.TempDir(), "standin")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/pulumi-resource-standin").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(binary).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "pulumi-resource-docker, pulumi-resource-random, pulumi-resource-tls")

	for name := range Providers {
		t.Run(name, func(t *testing.T) {
			link := filepath.Join(t.TempDir(), plugins.Prefix+name)
			require.NoError(t, os.Symlink(binary, link))
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			engine := grpc.NewServer()
			go func() { _ = engine.Serve(listener) }()
			t.Cleanup(engine.Stop)

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, link, "-v=3", listener.Addr().String())
			var log strings.Builder
			cmd.Stderr = &log
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			port, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)

			conn, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(port), grpc.WithTransportCredentials(insecure.NewCredentials()))
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			client := pulumirpc.NewResourceProviderClient(conn)
			info, err := client.GetPluginInfo(ctx, &emptypb.Empty{})
			require.NoError(t, err)
			assert.Equal(t, plugins.Needed[name], info.GetVersion())
			_, err = client.Invoke(ctx, &pulumirpc.InvokeRequest{Tok: "a:b:c"})
			assert.Equal(t, codes.Unimplemented, status.Code(err), "what it does not have must be an error")

			engine.Stop()
			require.NoError(t, cmd.Wait(), "a provider whose engine was killed must end")
			require.NoError(t, ctx.Err())
			assert.Contains(t, log.String(), "stand-in for the real plugin")
		})
	}
}
