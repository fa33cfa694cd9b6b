package doorkeeper

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var began = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// predictorOf is a pod as it is kept, made so many seconds after began, and ready so
// many after that if it is.
func predictorOf(t *testing.T, endpoint, uid string, made int, ready ...int) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "a", Name: endpoint + uid, UID: types.UID(uid), CreationTimestamp: metav1.NewTime(began.Add(time.Duration(made) * time.Second)),
		Labels: map[string]string{endpointLabel: endpoint, componentLabel: predictor, "other": "label"},
	}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse}}}}
	if len(ready) > 0 {
		p.Status.Conditions[1] = corev1.PodCondition{
			Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(p.CreationTimestamp.Add(time.Duration(ready[0]) * time.Second)),
		}
	}
	kept, err := slim(p)
	require.NoError(t, err)
	return kept.(*corev1.Pod)
}

func written(s *starts) string {
	b := &bytes.Buffer{}
	s.write(b)
	return b.String()
}

func TestAColdStartIsAFirstPodThatGetsReady(t *testing.T) {
	s := &starts{began: began}
	s.see(predictorOf(t, "iris", "1", 10))
	assert.Contains(t, written(s), `neuroscale_cold_starts_total{namespace="a",endpoint="iris"} 0`, "Prometheus does not see the first of a counter that was not there")
	s.see(predictorOf(t, "iris", "1", 10, 7))
	s.see(predictorOf(t, "iris", "1", 10, 7))
	s.see(predictorOf(t, "iris", "2", 20, 5)) // there is one already
	s.see(predictorOf(t, "iris", "1", 10))    // and now it is not ready for a moment
	s.forget(predictorOf(t, "iris", "2", 20, 5))
	s.see(predictorOf(t, "iris", "1", 10, 60))
	assert.Contains(t, written(s), `neuroscale_cold_starts_total{namespace="a",endpoint="iris"} 1`)
	s.forget(predictorOf(t, "iris", "1", 10, 60))
	s.see(predictorOf(t, "iris", "3", 100))
	s.see(predictorOf(t, "iris", "3", 100, 9))
	assert.Contains(t, written(s), `neuroscale_cold_starts_total{namespace="a",endpoint="iris"} 2`)
	assert.Contains(t, written(s), `neuroscale_cold_start_seconds_total{namespace="a",endpoint="iris"} 16`)
}

func TestWhatWasThereBeforeIsNotCounted(t *testing.T) {
	s := &starts{began: began}
	s.see(predictorOf(t, "iris", "1", -60, 5))
	s.see(predictorOf(t, "late", "2", -60, 90))
	transformer := predictorOf(t, "iris", "3", 10, 5)
	transformer.Labels[componentLabel] = "transformer"
	s.see(transformer)
	s.see(predictorOf(t, "", "4", 10, 5))
	text := written(s)
	assert.Contains(t, text, `{namespace="a",endpoint="iris"} 0`)
	assert.Contains(t, text, `{namespace="a",endpoint="late"} 0`)
	assert.NotContains(t, text, `endpoint=""`)
}

// Whoever may make a pod may call it anything.
func TestATenantCannotMakeSeriesWithoutEnd(t *testing.T) {
	s := &starts{began: began}
	for i := range 10 * maxEndpoints {
		p := predictorOf(t, fmt.Sprintf("e%d", i), fmt.Sprint(i), 10, 1)
		s.see(p)
		s.forget(p)
	}
	assert.Len(t, s.cold, maxEndpoints+1)
	assert.Empty(t, s.pods, "memory has an end")
	assert.Contains(t, written(s), fmt.Sprintf(`neuroscale_cold_starts_total{namespace="a",endpoint="other"} %d`, 9*maxEndpoints))
	other := predictorOf(t, "iris", "b", 10, 1)
	other.Namespace = "b"
	s.see(other)
	assert.Contains(t, written(s), `{namespace="b",endpoint="iris"} 1`, "another tenant's are counted as before")
}
