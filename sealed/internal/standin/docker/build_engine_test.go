package docker

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	dockerd "github.com/neuroscale-platform/neuroscale/sealed/internal/engine"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/node/netns"
	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server/servertest"
)

// distribution is Debian's package of the registry whose image a cluster in Docker has.
var distribution = dockerd.Package{Name: "docker-registry", Programs: []string{"usr/bin/docker-registry"}}

// password is somebody's, whom the registry lets push.
const password = "let me in"

// pushable are inputs of an image of a folder with the password.
func pushable(name, dir string, build map[string]any) servertest.Props {
	inputs := built(name, dir, build)
	inputs["registry"] = resource.NewProperty(resource.NewPropertyMapFromMap(map[string]any{"server": "127.0.0.1:6551", "username": "somebody", "password": password}))
	return inputs
}

// pull an image of the registry.
func pull(t *testing.T, api *client.Client, name string) {
	t.Helper()
	auth, err := authconfig.Encode(registry.AuthConfig{Username: "somebody", Password: password})
	require.NoError(t, err)
	response, err := api.ImagePull(t.Context(), name, client.ImagePullOptions{RegistryAuth: auth})
	require.NoError(t, err)
	require.NoError(t, response.Wait(t.Context()))
}

// startRegistry runs one in the engine, on a port of its loopback.
func startRegistry(t *testing.T, e *servertest.Engine, api *client.Client) {
	t.Helper()
	programs := filepath.Join(filepath.Dir(engineOptions().Programs), "docker-registry")
	require.NoError(t, distribution.Fetch(t.Context(), programs))
	loadImage(t, api, "neuroscale/registry:1", filepath.Join(programs, "docker-registry"))
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	e.Create(servertest.URN(containerToken, "registry"), props(t, `{"name":"registry","image":"neuroscale/registry:1",
		"command":["`+filepath.Join(programs, "docker-registry")+`","serve","/etc/registry.yaml"],
		"ports":[{"internal":5000,"external":6551,"ip":"127.0.0.1"}],
		"envs":["REGISTRY_AUTH=htpasswd","REGISTRY_AUTH_HTPASSWD_REALM=test","REGISTRY_AUTH_HTPASSWD_PATH=/etc/passwords"],
		"uploads":[{"file":"/etc/passwords","content":"somebody:`+string(hash)+`\n"},{"file":"/etc/registry.yaml","content":"version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n"}]}`))
	require.Eventually(t, func() bool {
		return netns.Do(engineOptions().Name, func() error {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:6551", time.Second)
			if err == nil {
				_ = conn.Close()
			}
			return err
		}) == nil
	}, 30*time.Second, 200*time.Millisecond, "the registry does not listen")
}

// program compiles one of the platform's, as its Dockerfile does.
func program(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-C", "../../../..", "-trimpath", "-ldflags=-s -w", "-o", file, "./cmd/neuroscale-"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	return file
}

// What Pulumi's Image does with an engine and a registry, by both builders.
func TestImagesAreBuiltAndPushed(t *testing.T) {
	e, api := real(t)
	startRegistry(t, e, api)
	ctx := t.Context()
	proxy, err := os.ReadFile(program(t, "forge-proxy"))
	require.NoError(t, err)
	for _, builder := range []string{"BuilderBuildKit", "BuilderV1"} {
		t.Run(builder, func(t *testing.T) {
			dir := folder(t, map[string]string{
				"Dockerfile": "FROM scratch AS forge-proxy\nCOPY forge-proxy /forge-proxy\nCOPY text /text\nUSER 65532:65532\nENTRYPOINT [\"/forge-proxy\"]\n" +
					"FROM scratch AS other\nCOPY absent /\n",
				"text": builder, ".dockerignore": "*\n!forge-proxy\n!text\n",
			})
			require.NoError(t, os.WriteFile(filepath.Join(dir, "forge-proxy"), proxy, 0o755))
			const repository = "127.0.0.1:6551/neuroscale-platform/forge-proxy"
			inputs := func(tag string) servertest.Props {
				return pushable(repository+":"+tag, dir, map[string]any{"target": "forge-proxy", "builderVersion": builder, "args": map[string]any{"UNREAD": "1"}})
			}
			image := e.Create(servertest.URN(builtToken, "i"), inputs("v1"))
			assert.Equal(t, repository+":v1", image.ID)
			digest := image.Outputs["repoDigest"].StringValue()
			assert.Regexp(t, "^"+repository+"@sha256:[0-9a-f]{64}$", digest)
			for name, want := range map[string]string{"imageName": repository + ":v1", "baseImageName": repository + ":v1", "dockerfile": "Dockerfile", "context": dir, "registryServer": "127.0.0.1:6551"} {
				assert.Equal(t, want, image.Outputs[resource.PropertyKey(name)].StringValue(), name)
			}

			// What somebody pulls is what was built, and it runs.
			_, err := api.ImageRemove(ctx, repository+":v1", client.ImageRemoveOptions{Force: true})
			require.NoError(t, err)
			_, err = api.ImageInspect(ctx, digest)
			require.Error(t, err, "the image is still in the engine: pulling it shows nothing")
			pull(t, api, digest)
			// It ends by itself, and may be seen before that.
			ends := e.Create(servertest.URN(containerToken, "proxy"), props(t, `{"name":"proxy","image":"`+digest+`","command":["-no-such-flag"],"mustRun":false}`))
			assert.Eventually(t, func() bool {
				logs, err := api.ContainerLogs(ctx, ends.ID, client.ContainerLogsOptions{ShowStderr: true})
				if err != nil {
					return false
				}
				defer logs.Close()
				said, err := io.ReadAll(logs)
				return err == nil && strings.Contains(string(said), "flag provided but not defined: -no-such-flag")
			}, time.Minute, 100*time.Millisecond, "what was built does not run")
			e.Delete(ends)
			found, err := api.ImageInspect(ctx, digest)
			require.NoError(t, err)
			assert.Equal(t, "65532:65532", found.Config.User)

			assert.Empty(t, e.Diff(image, inputs("v1")).GetDiffs(), "nothing has changed, and it would be built anew")
			again, err := e.Read(image)
			require.NoError(t, err)
			assert.Equal(t, image, again)
			put(t, dir, "text", builder+" changed")
			require.NotEmpty(t, e.Diff(image, inputs("v2")).GetDiffs())
			image = e.Update(image, inputs("v2"))
			assert.Equal(t, repository+":v1", image.ID)
			assert.NotEqual(t, digest, image.Outputs["repoDigest"].StringValue(), "another file, the same image")
			for _, tag := range []string{"v1", "v2"} {
				pull(t, api, repository+":"+tag)
			}
			e.Delete(image)
		})
	}
	t.Run("a build that fails says its step and what that printed", func(t *testing.T) {
		loadImage(t, api, "neuroscale/shell:1")
		dir := folder(t, map[string]string{"Dockerfile": "FROM neuroscale/shell:1\nRUN echo no such luck; exit 3\n"})
		for _, builder := range []string{"BuilderBuildKit", "BuilderV1"} {
			err := e.TryCreate(servertest.URN(builtToken, "bad"), built("127.0.0.1:6551/bad:1", dir, map[string]any{"builderVersion": builder}))
			require.ErrorContains(t, err, "building image 127.0.0.1:6551/bad:1", builder)
			assert.ErrorContains(t, err, "RUN echo no such luck; exit 3", builder)
			assert.ErrorContains(t, err, "it printed:", builder)
			assert.Regexp(t, `(?m)^no such luck$`, err.Error(), builder)
		}
		missing := folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY absent /\n"})
		err := e.TryCreate(servertest.URN(builtToken, "bad"), built("127.0.0.1:6551/bad:1", missing, nil))
		assert.ErrorContains(t, err, "absent")
	})
	t.Run("an image that cannot be pushed says where to", func(t *testing.T) {
		dir := folder(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY a /\n", "a": ""})
		stranger := pushable("127.0.0.1:6551/strange:1", dir, nil)
		stranger["registry"].ObjectValue()["password"] = resource.NewProperty("guessed")
		require.ErrorContains(t, e.TryCreate(servertest.URN(builtToken, "strange"), stranger), "pushing image 127.0.0.1:6551/strange:1")
		require.ErrorContains(t, e.TryCreate(servertest.URN(builtToken, "strange"), built("127.0.0.1:6551/strange:1", dir, nil)), "no basic auth credentials")
		err := e.TryCreate(servertest.URN(builtToken, "lost"), built("127.0.0.1:6552/lost:1", dir, nil))
		require.ErrorContains(t, err, "pushing image 127.0.0.1:6552/lost:1")
		local := built("127.0.0.1:6552/lost:1", dir, nil)
		local["skipPush"] = resource.NewProperty(true)
		kept := e.Create(servertest.URN(builtToken, "kept"), local)
		assert.Regexp(t, "^sha256:", kept.Outputs["repoDigest"].StringValue())
	})
}
