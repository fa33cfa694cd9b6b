package kube

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAPodSaysWhatKeepsItFromRunning(t *testing.T) {
	waiting := func(reason, message string, exit int64) fields {
		c := fields{"name": "c", "image": "r.example/c:1", "state": fields{"waiting": fields{"reason": reason, "message": message}}}
		if exit != 0 {
			c["lastState"] = fields{"terminated": fields{"exitCode": exit}}
		}
		return c
	}
	for name, test := range map[string]struct {
		status fields
		want   PodTrouble
	}{
		"nothing":    {fields{"containerStatuses": []any{fields{"name": "c", "state": fields{"running": fields{}}}}}, PodTrouble{}},
		"no place":   {fields{"conditions": conditions(fields{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"})}, PodTrouble{Why: "0/1 nodes"}},
		"it begins":  {fields{"containerStatuses": []any{waiting("ContainerCreating", "", 0)}}, PodTrouble{}},
		"no image":   {fields{"containerStatuses": []any{waiting("ImagePullBackOff", "not found", 0)}}, PodTrouble{Why: "container c waits (ImagePullBackOff): not found", Unpulled: map[string]string{"r.example/c:1": "container c waits (ImagePullBackOff): not found"}}},
		"it crashes": {fields{"containerStatuses": []any{waiting("CrashLoopBackOff", "", 2)}}, PodTrouble{Why: "container c ended with exit code 2 and waits (CrashLoopBackOff)", Failing: map[string]bool{"c": true}}},
		"its start fails": {fields{"initContainerStatuses": []any{fields{"name": "i", "state": fields{"terminated": fields{"exitCode": int64(1), "reason": "Error"}}}}},
			PodTrouble{Why: "container i ended with exit code 1 (Error)", Failing: map[string]bool{"i": false}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Trouble(object("v1", "Pod", nil, test.status))
			assert.Equal(t, test.want.Why, got.Why)
			assert.Equal(t, len(test.want.Failing), len(got.Failing))
			for c, previous := range test.want.Failing {
				assert.Equal(t, previous, got.Failing[c])
				assert.Contains(t, got.Failing, c)
			}
			assert.Equal(t, len(test.want.Unpulled), len(got.Unpulled))
			for image, why := range test.want.Unpulled {
				assert.Equal(t, why, got.Unpulled[image])
			}
		})
	}
}
