package docker

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/sealed/internal/standin/server/servertest"
)

const (
	networkToken   = "docker:index/network:Network"
	volumeToken    = "docker:index/volume:Volume"
	imageToken     = "docker:index/remoteImage:RemoteImage"
	containerToken = "docker:index/container:Container"
)

// props are properties as JSON.
func props(t *testing.T, text string) servertest.Props {
	t.Helper()
	var plain map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &plain))
	return resource.NewPropertyMapFromMap(plain)
}

// start needs no engine: nothing is asked of one before a resource is made.
func start(t *testing.T) *servertest.Engine {
	t.Helper()
	return servertest.Start(t, New())
}

func TestWhatTheStandInDoesNotKnowIsRefused(t *testing.T) {
	e := start(t)
	for name, test := range map[string]struct{ token, inputs, want string }{
		"property":        {containerToken, `{"name":"a","image":"b","gpus":"all"}`, "is not a property of this resource"},
		"nested property": {containerToken, `{"name":"a","image":"b","ports":[{"internal":1,"hostPort":2}]}`, "has a property the stand-in does not know"},
		"no name":         {volumeToken, `{}`, "name"},
		"bad subnet":      {networkToken, `{"name":"a","ipamConfigs":[{"subnet":"10.0.0.0"}]}`, "subnet"},
		"bad time":        {containerToken, `{"name":"a","image":"b","healthcheck":{"tests":["CMD","true"],"interval":"2"}}`, "healthcheck"},
		"bad processors":  {containerToken, `{"name":"a","image":"b","cpus":"two"}`, "cpus"},
		"bad port":        {containerToken, `{"name":"a","image":"b","ports":[{"internal":80,"ip":"localhost"}]}`, "ports"},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.Check(servertest.URN(test.token, "x"), nil, props(t, test.inputs))
			require.NotEmpty(t, failures)
			assert.Contains(t, failures[0].Property+" "+failures[0].Reason, test.want)
		})
	}
}

func TestAContainerIsChangedInPlaceOnlyWhereDockerCan(t *testing.T) {
	e := start(t)
	const whole = `{"name":"a","image":"sha256:1","memory":512,"restart":"no","ports":[{"internal":80,"external":80,"ip":"127.0.0.1"}],"uploads":[{"file":"/a","content":"b"}]}`
	urn := servertest.URN(containerToken, "x")
	inputs, failures := e.Check(urn, nil, props(t, whole))
	require.Empty(t, failures)
	r := servertest.Resource{URN: urn, ID: "id", Inputs: inputs, Outputs: inputs}
	assert.Empty(t, e.Diff(r, props(t, whole)).GetDiffs(), "an update without a change would make it anew")
	for path, replaces := range map[string]bool{
		`"memory":512`: false, `"restart":"no"`: false, `"external":80`: true, `"content":"b"`: true, `"image":"sha256:1"`: true,
	} {
		changed := map[string]string{
			`"memory":512`: `"memory":1024`, `"restart":"no"`: `"restart":"always"`, `"external":80`: `"external":81`,
			`"content":"b"`: `"content":"c"`, `"image":"sha256:1"`: `"image":"sha256:2"`,
		}[path]
		diff := e.Diff(r, props(t, replaced(whole, path, changed)))
		require.NotEmpty(t, diff.GetDiffs(), path)
		assert.Equal(t, replaces, len(diff.GetReplaces()) > 0, path)
	}
}

func TestAPreviewNeedsNoEngine(t *testing.T) {
	out := start(t).PreviewCreate(servertest.URN(imageToken, "x"), props(t, `{"name":"docker.io/library/a:1"}`))
	assert.True(t, out["imageId"].IsComputed())
}

func TestSecretsOfAContainerStaySecret(t *testing.T) {
	e := start(t)
	inputs := props(t, `{"name":"a","image":"b"}`)
	inputs["envs"] = resource.MakeSecret(resource.NewProperty([]resource.PropertyValue{resource.NewProperty("TOKEN=hush")}))
	out := e.PreviewCreate(servertest.URN(containerToken, "x"), inputs)
	assert.True(t, out["envs"].IsSecret())
}
