package provider

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
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "standin")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	return path
}

// realPluginAt puts a real plugin into Pulumi's plugin folder.
func realPluginAt(t *testing.T, home, folder, name string) {
	t.Helper()
	dir := filepath.Join(home, "plugins", folder)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, PluginPrefix+name), nil, 0o755))
}

func TestOnlyMissingPluginsAreStoodInFor(t *testing.T) {
	home, cache, binary := t.TempDir(), t.TempDir(), program(t)
	t.Setenv("PULUMI_HOME", home)

	installed, err := Install(cache, binary)
	require.NoError(t, err)
	assert.Equal(t, []string{"kubernetes", "random", "tls"}, installed)
	for _, name := range PluginNames() {
		target, err := os.Readlink(filepath.Join(Dir(cache), name))
		require.NoError(t, err)
		assert.Equal(t, binary, target)
	}

	realPluginAt(t, home, "resource-kubernetes-v4.23.0", "kubernetes")
	realPluginAt(t, home, "resource-random-v4.17.0", "random")
	realPluginAt(t, home, "resource-tls-v6.0.0", "tls")
	installed, err = Install(cache, binary)
	require.NoError(t, err)
	assert.Equal(t, []string{"random", "tls"}, installed, "an older version and another major version do not serve")
	assert.NoFileExists(t, filepath.Join(Dir(cache), "pulumi-resource-kubernetes"), "a stand-in must make way for the real plugin")

	realPluginAt(t, home, "resource-random-v4.18.1", "random")
	installed, err = Install(cache, binary)
	require.NoError(t, err)
	assert.Equal(t, []string{"tls"}, installed)

	require.NoError(t, os.RemoveAll(filepath.Join(home, "plugins")))
	other := program(t)
	installed, err = Install(cache, other)
	require.NoError(t, err)
	assert.Len(t, installed, 3, "a real plugin that was removed is stood in for again")
	target, err := os.Readlink(filepath.Join(Dir(cache), "pulumi-resource-tls"))
	require.NoError(t, err)
	assert.Equal(t, other, target, "a stand-in that moved must be linked anew")
}

func TestUnfinishedDownloadIsNoPlugin(t *testing.T) {
	home, cache := t.TempDir(), t.TempDir()
	t.Setenv("PULUMI_HOME", home)
	realPluginAt(t, home, "resource-tls-v5.2.0.partial", "tls")
	require.NoError(t, os.MkdirAll(filepath.Join(home, "plugins", "resource-random-v4.18.0"), 0o755))
	installed, err := Install(cache, program(t))
	require.NoError(t, err)
	assert.Len(t, installed, 3)
}

func TestMissingBinaryIsNamed(t *testing.T) {
	_, err := Install(t.TempDir(), "/nowhere/standin")
	require.ErrorContains(t, err, "/nowhere/standin")
	_, err = Install(t.TempDir(), t.TempDir())
	require.ErrorContains(t, err, "is not a program")
}

// The product's SDKs ask for exactly these versions.
func TestVersionsAreThoseTheSDKsAskFor(t *testing.T) {
	want := map[string]string{"kubernetes": "4.23.0", "random": "4.18.0", "tls": "5.2.0"}
	for name, build := range Builders() {
		p := build(nil)
		assert.Equal(t, want[name], p.Version())
		assert.Equal(t, name, p.Name())
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
	assert.Contains(t, string(out), "pulumi-resource-kubernetes, pulumi-resource-random, pulumi-resource-tls")

	for name, version := range map[string]string{"kubernetes": "4.23.0", "random": "4.18.0", "tls": "5.2.0"} {
		t.Run(name, func(t *testing.T) {
			link := filepath.Join(t.TempDir(), PluginPrefix+name)
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
			info, err := pulumirpc.NewResourceProviderClient(conn).GetPluginInfo(ctx, &emptypb.Empty{})
			require.NoError(t, err)
			assert.Equal(t, version, info.GetVersion())

			engine.Stop()
			require.NoError(t, cmd.Wait(), "a provider whose engine was killed must end")
			require.NoError(t, ctx.Err())
			assert.Contains(t, log.String(), "stand-in for the real plugin")
		})
	}
}
