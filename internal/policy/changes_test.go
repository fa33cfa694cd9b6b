package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyWhatChangesIsJudged(t *testing.T) {
	bad := func(t *testing.T) map[string]any {
		o := good(t, "Deployment")
		at(pod(o, "Deployment"), "containers", "main")["image"] = "nginx"
		return o
	}
	deleted := func(o map[string]any) { at(o, "metadata")["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
	for name, c := range map[string]struct {
		old, now func(o map[string]any)
		refused  []string
	}{
		"an annotation":                   {nil, func(o map[string]any) { at(o, "metadata")["annotations"] = map[string]any{"a": "b"} }, nil},
		"a status":                        {nil, func(o map[string]any) { o["status"] = map[string]any{"replicas": 1} }, nil},
		"an owner":                        {nil, func(o map[string]any) { at(o, "metadata")["ownerReferences"] = []any{map[string]any{"uid": "u"}} }, nil},
		"a label":                         {nil, func(o map[string]any) { at(o, "metadata", "labels")["tier"] = "1" }, []string{latest}},
		"a required label":                {nil, func(o map[string]any) { drop(at(o, "metadata", "labels"), "owner") }, []string{latest, workloadLabels}},
		"the spec":                        {nil, func(o map[string]any) { at(o, "spec")["replicas"] = 3 }, []string{latest}},
		"a finalizer, while deleted":      {deleted, func(o map[string]any) { deleted(o); at(o, "spec")["paused"] = true }, nil},
		"a deletion only the writer says": {nil, func(o map[string]any) { deleted(o); at(o, "spec")["replicas"] = 3 }, []string{latest}},
	} {
		t.Run(name, func(t *testing.T) {
			old, now := bad(t), bad(t)
			if c.old != nil {
				c.old(old)
			}
			c.now(now)
			judged(t, Request{Operation: "UPDATE", Object: now, OldObject: old}, c.refused)
		})
	}
	t.Run("a new object that says it is deleted", func(t *testing.T) {
		o := bad(t)
		deleted(o)
		judged(t, Request{Object: o}, []string{latest})
	})
	t.Run("an update that makes it good", func(t *testing.T) {
		judged(t, Request{Operation: "UPDATE", Object: good(t, "Deployment"), OldObject: bad(t)}, nil)
	})
}

func TestOfADebuggedPodOnlyWhatIsAddedIsJudged(t *testing.T) {
	// As Knative makes them: neither limits nor a security context on queue-proxy.
	running := decode(t, `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [
	  {name: kserve-container, image: "kserve/sklearnserver:v0.16.0"}, {name: queue-proxy, image: "queue@sha256:bad"}]}}`)
	for name, c := range map[string]struct {
		added   string
		refused []string
		says    string
	}{
		"good":     {`{name: shell, image: "busybox:1.37", securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}}`, nil, ""},
		"floating": {`{name: shell, image: "busybox:latest", securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}}`, []string{latest}, "shell=busybox:latest"},
		"root":     {`{name: shell, image: "busybox:1.37"}`, []string{root}, "shell (runAsNonRoot is not true"},
		"setuid":   {`{name: shell, image: "busybox:1.37", securityContext: {runAsNonRoot: true}}`, []string{root}, "shell (allowPrivilegeEscalation is not false)"},
		"both":     {`{name: shell, image: busybox, securityContext: {runAsUser: 0}}`, []string{latest, root}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := Normal(running)
			at(now, "spec")["ephemeralContainers"] = []any{decode(t, c.added)}
			r := Request{Operation: "UPDATE", SubResource: "ephemeralcontainers", Object: now, OldObject: running}
			judged(t, r, c.refused, c.says)
			assert.False(t, evaluate(t, r)[resources].Matched, "they may not have any")
		})
	}
	for _, other := range []string{"status", "resize", "scale", "binding", "eviction"} {
		now := Normal(running)
		at(now, "spec")["ephemeralContainers"] = []any{}
		for _, v := range evaluate(t, Request{Operation: "UPDATE", SubResource: other, Object: now, OldObject: running}) {
			assert.False(t, v.Matched, "%s by %s", other, v.Policy)
		}
	}
}
