package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// builds is where the stand-in is built for the tests.
var builds string

func TestMain(m *testing.M) {
	code := m.Run()
	if builds != "" {
		_ = os.RemoveAll(builds)
	}
	os.Exit(code)
}

// standin builds the stand-in, once for all tests.
var standin = sync.OnceValues(func() (string, error) {
	var err error
	if builds, err = os.MkdirTemp("", "standin"); err != nil {
		return "", err
	}
	binary := filepath.Join(builds, "pulumi-resource-standin")
	out, err := exec.Command("go", "build", "-o", binary, "../../../cmd/pulumi-resource-standin").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the stand-in: %w\n%s", err, out)
	}
	return binary, nil
})

// engine makes a stack for the real pulumi command with the stand-ins on its
// PATH. Without a pulumi command the test is skipped.
func engine(t *testing.T, program pulumi.RunFunc) auto.Stack {
	t.Helper()
	if _, err := exec.LookPath("pulumi"); err != nil {
		lack(t, "there is no pulumi command on PATH")
	}
	dir := t.TempDir()
	plugins, state := filepath.Join(dir, "plugins"), filepath.Join(dir, "state")
	require.NoError(t, os.MkdirAll(plugins, 0o755))
	require.NoError(t, os.MkdirAll(state, 0o755))
	binary, err := standin()
	require.NoError(t, err)
	for _, name := range []string{"kubernetes", "tls", "random"} {
		require.NoError(t, os.Symlink(binary, filepath.Join(plugins, "pulumi-resource-"+name)))
	}
	t.Setenv("PATH", plugins+string(os.PathListSeparator)+os.Getenv("PATH"))
	stack, err := auto.UpsertStackInlineSource(t.Context(), "test", "standin", program, auto.EnvVars(map[string]string{
		"PULUMI_BACKEND_URL": "file://" + state, "PULUMI_CONFIG_PASSPHRASE": "test", "PULUMI_SKIP_UPDATE_CHECK": "true",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_HOME": filepath.Join(dir, "home"),
	}))
	require.NoError(t, err)
	return stack
}

// custom registers a resource of any type.
func custom(ctx *pulumi.Context, token, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption) (*pulumi.CustomResourceState, error) {
	var r pulumi.CustomResourceState
	return &r, ctx.RegisterResource(token, name, inputs, &r, opts...)
}

// secretive is a resource with one output of interest.
type secretive struct {
	pulumi.CustomResourceState
	Result pulumi.StringOutput `pulumi:"result"`
}

// program makes a namespace, a password, and a Secret with it, on the cluster at
// the address read from kubeconfig.
func program(kubeconfig func() pulumi.StringInput, data func() string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var k8s pulumi.ProviderResourceState
		if err := ctx.RegisterResource("pulumi:providers:kubernetes", "cluster", pulumi.Map{
			"kubeconfig": kubeconfig(), "clusterIdentifier": pulumi.String("test"),
		}, &k8s); err != nil {
			return err
		}
		var password secretive
		if err := ctx.RegisterResource("random:index/randomPassword:RandomPassword", "password", pulumi.Map{"length": pulumi.Int(20)},
			&password, pulumi.AdditionalSecretOutputs([]string{"result"})); err != nil {
			return err
		}
		space, err := custom(ctx, "kubernetes:core/v1:Namespace", "space", pulumi.Map{"metadata": pulumi.Map{"name": pulumi.String("space")}}, pulumi.Provider(&k8s))
		if err != nil {
			return err
		}
		in := pulumi.Map{"name": pulumi.String("token"), "namespace": pulumi.String("space")}
		if _, err := custom(ctx, "kubernetes:core/v1:Secret", "token", pulumi.Map{
			"metadata": in, "stringData": pulumi.Map{"password": password.Result},
		}, pulumi.Provider(&k8s), pulumi.DependsOn([]pulumi.Resource{space})); err != nil {
			return err
		}
		_, err = custom(ctx, "kubernetes:core/v1:ConfigMap", "settings", pulumi.Map{
			"metadata": pulumi.Map{"name": pulumi.String("settings"), "namespace": pulumi.String("space")},
			"data":     pulumi.Map{"a": pulumi.String(data())},
		}, pulumi.Provider(&k8s), pulumi.DependsOn([]pulumi.Resource{space}))
		ctx.Export("password", password.Result)
		return err
	}
}

func fixed(api *fakeAPI) func() pulumi.StringInput {
	contents := api.kubeconfig()["kubeconfig"].SecretValue().Element.StringValue()
	return func() pulumi.StringInput { return pulumi.ToSecret(pulumi.String(contents)).(pulumi.StringOutput) }
}

// newEngineAPI is a fake API whose namespaces are ready at once.
func newEngineAPI(t *testing.T) *fakeAPI {
	t.Helper()
	api := newFakeAPI(t)
	api.onWrite = activate
	return api
}

func TestEngineTakesAStackThroughItsWholeLife(t *testing.T) {
	api := newEngineAPI(t)
	data := "1"
	stack := engine(t, program(fixed(api), func() string { return data }))
	ctx := t.Context()

	preview, err := stack.Preview(ctx)
	require.NoError(t, err)
	assert.Equal(t, 6, preview.ChangeSummary["create"], preview.StdOut)

	up, err := stack.Up(ctx)
	require.NoError(t, err)
	assert.True(t, up.Outputs["password"].Secret)
	password := up.Outputs["password"].Value.(string)
	assert.Len(t, password, 20)
	assert.NotNil(t, api.get("v1/secrets", "space", "token"))
	assertStateHides(t, stack, password)

	up, err = stack.Up(ctx, optup.ExpectNoChanges())
	require.NoError(t, err, up.StdOut)
	refreshed, err := stack.Refresh(ctx, optrefresh.ExpectNoChanges())
	require.NoError(t, err, refreshed.StdOut)

	data = "2"
	up, err = stack.Up(ctx)
	require.NoError(t, err)
	assert.Equal(t, m{"a": "2"}, api.get("v1/configmaps", "space", "settings").Object["data"])
	assert.Equal(t, 1, (*up.Summary.ResourceChanges)["replace"], "the data of a ConfigMap of fixed name cannot change in place")

	api.drop("v1/configmaps", "space", "settings")
	_, err = stack.Refresh(ctx)
	require.NoError(t, err)
	up, err = stack.Up(ctx)
	require.NoError(t, err)
	assert.Equal(t, 1, (*up.Summary.ResourceChanges)["create"], "what a refresh found missing must be made again")

	_, err = stack.Destroy(ctx, optdestroy.Remove())
	require.NoError(t, err)
	assert.Nil(t, api.get("v1/namespaces", "", "space"))
}

// assertStateHides reads what the backend keeps: an export by the Automation API
// is decrypted. A secret is searched for as it would stand in JSON, and in JSON in
// a JSON string.
func assertStateHides(t *testing.T, stack auto.Stack, secrets ...string) {
	t.Helper()
	backend := strings.TrimPrefix(stack.Workspace().GetEnvVars()["PULUMI_BACKEND_URL"], "file://")
	data, err := os.ReadFile(filepath.Join(backend, ".pulumi", "stacks", "standin", stack.Name()+".json"))
	require.NoError(t, err)
	require.Contains(t, string(data), `"ciphertext"`, "the state must keep secrets as ciphertext")
	for _, secret := range secrets {
		once, err := json.Marshal(secret)
		require.NoError(t, err)
		twice, err := json.Marshal(string(once))
		require.NoError(t, err)
		for _, form := range []string{
			secret, strings.Trim(string(once), `"`), strings.Trim(string(twice), `\"`), base64.StdEncoding.EncodeToString([]byte(secret)),
		} {
			assert.NotContains(t, string(data), form, "the state must hold no secret in plain text")
		}
	}
}

func TestEnginePreviewsBeforeThereIsACluster(t *testing.T) {
	address := nobody(t)
	contents := kubeconfigFor(address)["kubeconfig"].SecretValue().Element.StringValue()
	stack := engine(t, program(func() pulumi.StringInput { return pulumi.String(contents) }, func() string { return "1" }))
	preview, err := stack.Preview(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 6, preview.ChangeSummary["create"])
	assert.Contains(t, preview.StdOut, "without the cluster")

	_, err = stack.Up(t.Context())
	require.Error(t, err)
	assert.Contains(t, err.Error(), "creating Namespace space: the cluster at "+address+" cannot be reached")
}

func TestEnginePreviewsWithAKubeconfigThatIsNotKnownYet(t *testing.T) {
	api := newEngineAPI(t)
	contents := api.kubeconfig()["kubeconfig"].SecretValue().Element.StringValue()
	stack := engine(t, func(ctx *pulumi.Context) error {
		var id secretive
		if err := ctx.RegisterResource("random:index/randomUuid:RandomUuid", "id", pulumi.Map{}, &id); err != nil {
			return err
		}
		known := id.Result.ApplyT(func(string) string { return contents }).(pulumi.StringOutput)
		return program(func() pulumi.StringInput { return known }, func() string { return "1" })(ctx)
	})
	_, err := stack.Preview(t.Context())
	require.NoError(t, err)
	_, err = stack.Up(t.Context())
	require.NoError(t, err)
	assert.NotNil(t, api.get("v1/configmaps", "space", "settings"))
	_, err = stack.Up(t.Context(), optup.ExpectNoChanges())
	require.NoError(t, err)
}

func TestEngineDestroysWhenTheClusterIsLost(t *testing.T) {
	api := newEngineAPI(t)
	stack := engine(t, program(fixed(api), func() string { return "1" }))
	_, err := stack.Up(t.Context())
	require.NoError(t, err)
	api.CloseClientConnections()
	api.Close()

	_, err = stack.Destroy(t.Context())
	require.Error(t, err)
	assert.Contains(t, err.Error(), "PULUMI_K8S_DELETE_UNREACHABLE")
	stack.Workspace().SetEnvVar("PULUMI_K8S_DELETE_UNREACHABLE", "true")
	_, err = stack.Destroy(t.Context())
	require.NoError(t, err)
}

func TestEngineContinuesAWaitThatFailed(t *testing.T) {
	api := newFakeAPI(t)
	stack := engine(t, func(ctx *pulumi.Context) error {
		var k8s pulumi.ProviderResourceState
		if err := ctx.RegisterResource("pulumi:providers:kubernetes", "cluster", pulumi.Map{"kubeconfig": fixed(api)()}, &k8s); err != nil {
			return err
		}
		_, err := custom(ctx, "kubernetes:core/v1:Namespace", "space", pulumi.Map{"metadata": pulumi.Map{"name": pulumi.String("space")}},
			pulumi.Provider(&k8s), pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "1s", Update: "5s"}))
		return err
	})
	_, err := stack.Up(t.Context())
	require.Error(t, err)
	assert.Contains(t, err.Error(), "Namespace space was not ready within 1s")

	api.change("v1/namespaces", "", "space", func(o map[string]any) { o["status"] = m{"phase": "Active"} })
	_, err = stack.Up(t.Context())
	require.NoError(t, err)
	_, err = stack.Up(t.Context(), optup.ExpectNoChanges())
	require.NoError(t, err)
}

func TestEngineImportsAnObject(t *testing.T) {
	api := newEngineAPI(t)
	api.put("v1/configmaps", "default", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"a":"1"}}`)
	stack := engine(t, func(ctx *pulumi.Context) error {
		var k8s pulumi.ProviderResourceState
		if err := ctx.RegisterResource("pulumi:providers:kubernetes", "cluster", pulumi.Map{"kubeconfig": fixed(api)()}, &k8s); err != nil {
			return err
		}
		_, err := custom(ctx, "kubernetes:core/v1:ConfigMap", "settings", pulumi.Map{
			"metadata": pulumi.Map{"name": pulumi.String("settings"), "namespace": pulumi.String("default")}, "data": pulumi.Map{"a": pulumi.String("1")},
		}, pulumi.Provider(&k8s), pulumi.Import(pulumi.ID("default/settings")))
		return err
	})
	up, err := stack.Up(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, (*up.Summary.ResourceChanges)["import"])
	assert.Zero(t, api.asked("PATCH /api/v1/namespaces/default/configmaps/settings"), "an import must change nothing")
}

func TestEngineEndsAWaitWhenItIsCancelled(t *testing.T) {
	api := newFakeAPI(t)
	stack := engine(t, program(fixed(api), func() string { return "1" }))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		api.until("watch=true", 1)
		cancel()
	}()
	_, err := stack.Up(ctx)
	require.Error(t, err)
	state, err := stack.Export(t.Context())
	require.NoError(t, err)
	assert.Contains(t, string(state.Deployment), "kubernetes:core/v1:Namespace", "what was created must be in the state")
}
