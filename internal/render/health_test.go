package render

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	lua "github.com/yuin/gopher-lua"
)

// judge has Lua judge an object as Argo CD does.
func judge(t *testing.T, script string, object map[string]any) (status, message string) {
	t.Helper()
	l := lua.NewState()
	defer l.Close()
	var value func(any) lua.LValue
	value = func(v any) lua.LValue {
		switch v := v.(type) {
		case string:
			return lua.LString(v)
		case int:
			return lua.LNumber(v)
		case []any:
			table := l.NewTable()
			for _, each := range v {
				table.Append(value(each))
			}
			return table
		case map[string]any:
			table := l.NewTable()
			for key, each := range v {
				table.RawSetString(key, value(each))
			}
			return table
		}
		require.Fail(t, "no value of Lua", "%T", v)
		return nil
	}
	l.SetGlobal("obj", value(object))
	require.NoError(t, l.DoString(script))
	said, ok := l.Get(-1).(*lua.LTable)
	require.True(t, ok, "it returns no table")
	return said.RawGetString("status").String(), said.RawGetString("message").String()
}

func TestAnEndpointIsHealthyWhenItIsReadyWhateverBecameOfItsPods(t *testing.T) {
	script, ok := dig(object(t, rendered(t, "argocd"), "ConfigMap", "argocd-cm"), "data", "resource.customizations.health.serving.kserve.io_InferenceService").(string)
	require.True(t, ok)
	conditions := func(pairs ...string) []any {
		all := []any{map[string]any{"type": "Stopped", "status": "False"}}
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, map[string]any{"type": pairs[i], "status": pairs[i+1], "message": "because"})
		}
		return all
	}
	ready := conditions("IngressReady", "True", "PredictorReady", "True", "Ready", "True")
	broken := conditions("IngressReady", "True", "PredictorReady", "False", "Ready", "False")
	model := func(transition string) map[string]any {
		return map[string]any{"transitionStatus": transition, "lastFailureInfo": map[string]any{"message": "no model there"}}
	}
	for name, c := range map[string]struct {
		status        map[string]any
		want, message string
	}{
		"new":                               {nil, "Progressing", "KServe has not seen it yet"},
		"ready":                             {map[string]any{"observedGeneration": 2, "conditions": ready, "modelStatus": model("UpToDate")}, "Healthy", "ready"},
		"scaled to zero when KServe looked": {map[string]any{"observedGeneration": 2, "conditions": ready, "modelStatus": model("InProgress")}, "Healthy", "ready"},
		"its node came back":                {map[string]any{"observedGeneration": 2, "conditions": ready, "modelStatus": model("BlockedByFailedLoad")}, "Healthy", "ready"},
		"no model":                          {map[string]any{"observedGeneration": 2, "conditions": ready}, "Healthy", "ready"},
		"changed":                           {map[string]any{"observedGeneration": 1, "conditions": ready, "modelStatus": model("UpToDate")}, "Progressing", "KServe has not seen it yet"},
		"changed after it failed":           {map[string]any{"observedGeneration": 1, "conditions": broken, "modelStatus": model("BlockedByFailedLoad")}, "Progressing", "KServe has not seen it yet"},
		"loading":                           {map[string]any{"observedGeneration": 2, "conditions": conditions("Ready", "Unknown"), "modelStatus": model("InProgress")}, "Progressing", "Ready is Unknown: because"},
		"its model is not there":            {map[string]any{"observedGeneration": 2, "conditions": broken, "modelStatus": model("BlockedByFailedLoad")}, "Degraded", "no model there"},
		"ready as it was, and cannot be as wanted": {map[string]any{"observedGeneration": 2, "conditions": ready, "modelStatus": model("InvalidSpec")}, "Degraded", "no model there"},
		"stopped":      {map[string]any{"observedGeneration": 2, "conditions": []any{map[string]any{"type": "Stopped", "status": "True"}}}, "Suspended", "it was stopped"},
		"said nothing": {map[string]any{"observedGeneration": 2, "conditions": []any{}}, "Progressing", "KServe has not seen it yet"},
	} {
		t.Run(name, func(t *testing.T) {
			object := map[string]any{"metadata": map[string]any{"generation": 2}}
			if c.status != nil {
				object["status"] = c.status
			}
			status, message := judge(t, script, object)
			assert.Equal(t, c.want, status)
			assert.Equal(t, c.message, message)
		})
	}
}
