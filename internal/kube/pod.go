package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// PodTrouble is what keeps a pod from running.
type PodTrouble struct {
	// Why it does not, if a container or the scheduler says so.
	Why string
	// Failing are the containers that ended badly, by whether their log is that of
	// the run before.
	Failing map[string]bool
	// Unpulled are images that do not come, by why.
	Unpulled map[string]string
}

// Trouble is what a pod and its containers say of themselves.
func Trouble(o *unstructured.Unstructured) PodTrouble {
	p := PodTrouble{Failing: map[string]bool{}, Unpulled: map[string]string{}}
	for _, c := range Conditions(o) {
		if c.Type == "PodScheduled" && !c.Holds {
			p.Why = c.Message
		}
	}
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(o.Object, "status", field)
		for _, item := range statuses {
			m, _ := item.(map[string]any)
			why, failing, previous := failure(m)
			if why == "" {
				continue
			}
			if p.Why == "" {
				p.Why = why
			}
			if failing {
				p.Failing[Text(m, "name")] = previous
			}
			switch Text(m, "state", "waiting", "reason") {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
				p.Unpulled[Text(m, "image")] = why
			}
		}
	}
	return p
}

// failure is why a container does not run, whether it did and has a log, and
// whether that is the log of its run before.
func failure(status map[string]any) (why string, ran, previous bool) {
	name := Text(status, "name")
	ended := func(state string) (int64, bool) {
		code, found, _ := unstructured.NestedInt64(status, state, "terminated", "exitCode")
		return code, found && code != 0
	}
	reason := Text(status, "state", "waiting", "reason")
	code, bad := ended("state")
	last, badBefore := ended("lastState")
	switch {
	case bad:
		return fmt.Sprintf("container %s ended with exit code %d (%s)", name, code, Text(status, "state", "terminated", "reason")), true, false
	case reason != "" && badBefore:
		return fmt.Sprintf("container %s ended with exit code %d and waits (%s)", name, last, reason), true, true
	case reason != "" && reason != "PodInitializing" && reason != "ContainerCreating":
		why = fmt.Sprintf("container %s waits (%s)", name, reason)
		if message := Text(status, "state", "waiting", "message"); message != "" {
			why += ": " + message
		}
		return why, false, false
	}
	return "", false, false
}
