package e2e

import (
	"context"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

const (
	example   = "demo-iris-2"
	instances = `{"instances":[[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}`
)

func (s *suite) outputsAreComplete(t *testing.T) {
	ctx := within(t, time.Minute)
	s.outputs = s.readOutputs(ctx, t)
	requireFilled(t, "outputs", reflect.ValueOf(*s.outputs))
	for _, name := range []string{example, "sklearn-iris"} {
		assert.Contains(t, s.outputs.Endpoints, name)
	}
	for _, name := range layers(t).Names() {
		assert.Contains(t, s.outputs.Layers, name)
	}
}

// requireFilled demands a value in every field, element and value below v. False is one.
func requireFilled(t *testing.T, at string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		if moment, ok := v.Interface().(time.Time); ok {
			assert.False(t, moment.IsZero(), "%s is empty", at)
			return
		}
		for i := range v.NumField() {
			requireFilled(t, at+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Map:
		assert.NotZero(t, v.Len(), "%s is empty", at)
		for _, key := range v.MapKeys() {
			requireFilled(t, at+"."+key.String(), v.MapIndex(key))
		}
	case reflect.Slice:
		assert.NotZero(t, v.Len(), "%s is empty", at)
		for i := range v.Len() {
			requireFilled(t, at+"[]", v.Index(i))
		}
	case reflect.Bool:
	default:
		assert.False(t, v.IsZero(), "%s is empty", at)
	}
}

func (s *suite) endpointPredicts(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	r := succeed(ctx, t, s.command("predict", example))
	requirePrediction(t, r.Stdout)

	answer, err := s.ask(ctx, example, s.hostOf(t, example))
	require.NoError(t, err)
	require.Equal(t, 200, answer.Code, "%s", answer.Body)
	requirePrediction(t, answer.Body)

	// The gateway routes by host name: were every request to reach a model, the
	// host name above would have shown nothing.
	answer, err = s.ask(ctx, example, "nobody-predictor.default.neuroscale.test")
	require.NoError(t, err)
	assert.Equal(t, 404, answer.Code, "%s", answer.Body)
}

// hostOf is the host name of an endpoint's URL in the outputs.
func (s *suite) hostOf(t *testing.T, name string) string {
	t.Helper()
	u, err := url.Parse(s.outputs.Endpoints[name])
	require.NoError(t, err)
	require.NotEmpty(t, u.Hostname())
	return u.Hostname()
}

// ask asks with the platform's own key.
func (s *suite) ask(ctx context.Context, model, host string) (rig.Answer, error) {
	return s.askWith(ctx, model, host, s.outputs.PlatformKey)
}

func (s *suite) askWith(ctx context.Context, model, host, key string) (rig.Answer, error) {
	return rig.Ask(ctx, rig.Direct(s.outputs.Authority), s.outputs.GatewayURL+"/v1/models/"+model+":predict", host, key, instances)
}
