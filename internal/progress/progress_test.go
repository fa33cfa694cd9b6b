package progress

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

const project = "urn:pulumi:ci::neuroscale::"

// story plays an `up` of two layers inside a component, one of which fails.
type story struct {
	clock   time.Time
	tracker *Tracker
	shown   func(Snapshot)
}

func newStory(shown func(Snapshot)) *story {
	s := &story{clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), shown: shown}
	s.tracker = NewTracker(func() time.Time { return s.clock })
	return s
}

func (s *story) after(d time.Duration) *story { s.clock = s.clock.Add(d); return s }

func (s *story) show() *story { s.shown(s.tracker.Snapshot()); return s }

func (s *story) component(token, name, parent string) string {
	urn := project + token + "::" + name
	s.tracker.Observe(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpCreate, URN: urn, Type: token, New: &apitype.StepEventStateMetadata{Parent: parent},
	}}})
	return urn
}

func (s *story) begin(op apitype.OpType, token, name, parent string) string {
	urn := project + "neuroscale:platform:X$" + token + "::" + name
	s.tracker.Observe(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: step(op, urn, token, parent)}})
	return urn
}

func step(op apitype.OpType, urn, token, parent string) apitype.StepEventMetadata {
	return apitype.StepEventMetadata{Op: op, URN: urn, Type: token, New: &apitype.StepEventStateMetadata{Custom: true, Parent: parent}}
}

func (s *story) end(op apitype.OpType, token, urn, parent string) *story {
	s.tracker.Observe(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: step(op, urn, token, parent)}})
	return s
}

func (s *story) fail(token, urn, parent string) *story {
	s.tracker.Observe(apitype.EngineEvent{ResOpFailedEvent: &apitype.ResOpFailedEvent{Metadata: step(apitype.OpCreate, urn, token, parent)}})
	return s
}

func (s *story) says(urn, message string) *story {
	s.tracker.Observe(apitype.EngineEvent{DiagnosticEvent: &apitype.DiagnosticEvent{URN: urn, Message: message, Severity: "info"}})
	return s
}

func (s *story) tell() {
	const namespace, application, job = "kubernetes:core/v1:Namespace", "kubernetes:argoproj.io/v1alpha1:Application", "kubernetes:batch/v1:Job"
	stack := s.component(stackToken, "neuroscale-ci", "")
	argocd := s.component("neuroscale:platform:ArgoCD", "argocd", stack)
	serving := s.component("neuroscale:platform:Serving", "serving", stack)
	knative := s.component("neuroscale:platform:Layer", "knative", serving)
	kserve := s.component("neuroscale:platform:Layer", "kserve", serving)
	for _, phase := range []string{"argocd", "argocd", "knative", "knative", "kserve"} {
		s.tracker.Declare(phase)
	}
	ns := s.after(100*time.Millisecond).begin(apitype.OpCreate, namespace, "argocd", argocd)
	s.show()
	s.after(time.Second).end(apitype.OpCreate, namespace, ns, argocd)
	// A provider and an unchanged resource are no work.
	s.begin(apitype.OpCreate, "pulumi:providers:kubernetes", "k", stack)
	same := s.begin(apitype.OpSame, job, "argocd-bootstrap", argocd)
	s.end(apitype.OpSame, job, same, argocd).show()
	app := s.begin(apitype.OpCreate, application, "knative", knative)
	s.show().after(12*time.Second).says(app, "<{%fg 13%}>waiting for sync<{%reset%}>\nmore").show()
	s.after(3*time.Second).end(apitype.OpCreate, application, app, knative)
	layer := s.begin(apitype.OpUpdate, job, "layer-knative-abc", knative)
	s.after(time.Second).end(apitype.OpUpdate, job, layer, knative).show()
	broken := s.begin(apitype.OpCreate, job, "layer-kserve-abc", kserve)
	s.show().after(2*time.Second).fail(job, broken, kserve).show()
}

func TestPlainProgressReadsLikeALog(t *testing.T) {
	var out bytes.Buffer
	p := NewPlain(&out, 10*time.Second)
	s := newStory(p.Show)
	s.tell()
	p.Done(s.tracker.Snapshot())
	golden(t, "plain.txt", out.Bytes())
}

func TestLiveProgressRedrawsInPlace(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out, func() int { return 60 })
	s := newStory(l.Show)
	s.tell()
	l.Done(s.tracker.Snapshot())
	golden(t, "live.txt", out.Bytes())
}

func TestSnapshotCountsEachResourceOnceAndTimesPhases(t *testing.T) {
	s := newStory(func(Snapshot) {})
	s.tell()
	got := s.tracker.Snapshot()
	assert.Equal(t, 4, got.Done)
	assert.Equal(t, 5, got.Of)
	assert.Equal(t, 3, got.Changed)
	byName := map[string]Phase{}
	for _, p := range got.Phases {
		byName[p.Name] = p
	}
	assert.Equal(t, Phase{Name: "knative", Done: 2, Of: 2, Changed: 2, Start: 1100 * time.Millisecond, Took: 16 * time.Second}, byName["knative"])
	assert.True(t, byName["knative"].Complete())
	assert.True(t, byName["kserve"].Failed)
	assert.False(t, byName["kserve"].Complete())
	assert.NotContains(t, byName, "serving", "a layer is a phase of its own")
}

func TestAReplacementIsOneResource(t *testing.T) {
	s := newStory(func(Snapshot) {})
	stack := s.component(stackToken, "neuroscale-ci", "")
	layer := s.component("neuroscale:platform:Layer", "kserve", stack)
	urn := s.begin(apitype.OpCreateReplacement, "kubernetes:batch/v1:Job", "j", layer)
	s.end(apitype.OpCreateReplacement, "kubernetes:batch/v1:Job", urn, layer)
	s.end(apitype.OpReplace, "kubernetes:batch/v1:Job", urn, layer)
	s.end(apitype.OpDeleteReplaced, "kubernetes:batch/v1:Job", urn, layer)
	assert.Equal(t, 1, s.tracker.Snapshot().Done)
	assert.Equal(t, 1, s.tracker.Snapshot().Changed)
}

func TestADestroyKnowsItsPhasesAndItsEnd(t *testing.T) {
	const (
		serving = project + "neuroscale:platform:Serving::serving"
		knative = project + "neuroscale:platform:Serving$neuroscale:platform:Layer::knative"
		inside  = project + "neuroscale:platform:Serving$neuroscale:platform:Part::part"
		stack   = project + stackToken + "::neuroscale-ci"
		job     = "kubernetes:batch/v1:Job"
	)
	tracker := NewTracker(nil)
	for name, parent := range map[string]string{"a": knative, "b": serving, "c": inside, "d": stack} {
		urn := project + "x$" + job + "::" + name
		tracker.DeclareExisting(urn, parent)
		m := step(apitype.OpDelete, urn, job, parent)
		m.Old, m.New = m.New, nil
		tracker.Observe(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}})
		tracker.Observe(apitype.EngineEvent{ResOutputsEvent: &apitype.ResOutputsEvent{Metadata: m}})
	}
	tracker.DeclareExisting(project+"pulumi:providers:kubernetes::k", stack)
	done := map[string]int{}
	for _, p := range tracker.Snapshot().Phases {
		assert.True(t, p.Complete(), p.Name)
		done[p.Name] = p.Done
	}
	assert.Equal(t, map[string]int{"knative": 1, "serving": 2, Other: 1}, done)
}

func TestPlanGroupsChangesByLayer(t *testing.T) {
	p := NewPlan()
	pre := func(op apitype.OpType, token, name, parent string, diffs ...string) {
		m := step(op, project+token+"::"+name, token, parent)
		m.Diffs = diffs
		p.Observe(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: m}})
	}
	component := func(token, name, parent string) string {
		urn := project + token + "::" + name
		p.Observe(apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
			Op: apitype.OpSame, URN: urn, Type: token, New: &apitype.StepEventStateMetadata{Parent: parent},
		}}})
		return urn
	}
	stack := component(stackToken, "neuroscale-ci", "")
	knative := component("neuroscale:platform:Layer", "knative", component("neuroscale:platform:Serving", "serving", stack))
	argocd := component("neuroscale:platform:ArgoCD", "argocd", stack)
	pre(apitype.OpUpdate, "kubernetes:argoproj.io/v1alpha1:Application", "knative", knative, "spec")
	pre(apitype.OpReplace, "kubernetes:core/v1:ConfigMap", "layer-knative", knative, "data", "metadata")
	pre(apitype.OpCreateReplacement, "kubernetes:core/v1:ConfigMap", "layer-knative", knative)
	pre(apitype.OpSame, "kubernetes:core/v1:Namespace", "argocd", argocd)
	got, err := json.MarshalIndent(p.Phases(), "", "  ")
	require.NoError(t, err)
	golden(t, "plan.json", append(got, '\n'))
}

type mocks struct{}

func (mocks) NewResource(a pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	return a.Name + "-id", a.Inputs, nil
}

func (mocks) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

type anyResource struct{ pulumi.CustomResourceState }

type anyComponent struct{ pulumi.ResourceState }

func TestCountKnowsEveryResourceBeforeTheEngineDoes(t *testing.T) {
	tracker := NewTracker(nil)
	program := func(ctx *pulumi.Context) error {
		serving, knative := &anyComponent{}, &anyComponent{}
		require.NoError(t, ctx.RegisterComponentResource("neuroscale:platform:Serving", "serving", serving))
		require.NoError(t, ctx.RegisterComponentResource("neuroscale:platform:Layer", "knative", knative, pulumi.Parent(serving)))
		require.NoError(t, ctx.RegisterResource("kubernetes:batch/v1:Job", "a", nil, &anyResource{}, pulumi.Parent(knative)))
		require.NoError(t, ctx.RegisterResource("kubernetes:batch/v1:Job", "b", nil, &anyResource{}, pulumi.Parent(serving)))
		return ctx.RegisterResource("kubernetes:batch/v1:Job", "c", nil, &anyResource{})
	}
	require.NoError(t, pulumi.RunErr(tracker.Count(program), pulumi.WithMocks("neuroscale", "ci", mocks{})))
	of := map[string]int{}
	for _, p := range tracker.Snapshot().Phases {
		of[p.Name] = p.Of
	}
	assert.Equal(t, map[string]int{"knative": 1, "serving": 1, Other: 1}, of)
}

func TestWatchShowsTheLastState(t *testing.T) {
	var out bytes.Buffer
	s := newStory(func(Snapshot) {})
	stop := Watch(context.Background(), s.tracker, NewPlain(&out, time.Hour), time.Hour)
	s.tell()
	assert.Equal(t, 4, stop().Done)
	assert.Contains(t, out.String(), "knative          done in 16.0s (2 of 2 resources)")
}

func TestATaskIsAPhaseWithoutResourcesAndForgottenWhenGivenUp(t *testing.T) {
	now := time.Unix(0, 0)
	tracker := NewTracker(func() time.Time { return now })
	end := tracker.Task("prediction", "demo-iris-2 has to answer")
	var out strings.Builder
	plain := NewPlain(&out, time.Hour)
	now = now.Add(time.Second)
	plain.Show(tracker.Snapshot())
	now = now.Add(time.Second)
	end(true)
	s := tracker.Snapshot()
	plain.Done(s)
	assert.Equal(t, []string{"1.0s 0/0 prediction demo-iris-2 has to answer", "2.0s 0/0 prediction done in 2.0s"}, lines(out.String()))
	assert.Zero(t, s.Of, "a task must not count as a resource")
	assert.True(t, s.Phases[0].Complete())

	tracker.Task("another", "")(false)
	assert.Len(t, tracker.Snapshot().Phases, 1, "a task given up must not be reported as done")
}

// lines of a text with runs of spaces made one.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}
