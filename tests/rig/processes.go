package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ProcessesOf are the containers' processes of pods. A pod's containers, but not
// its sandbox, have files of the kubelet's folder for the pod mounted.
func ProcessesOf(pods []unstructured.Unstructured) ([]*os.Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []*os.Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Processes end while they are looked at: what cannot be read is gone.
		mounts, err := os.ReadFile(filepath.Join("/proc", e.Name(), "mountinfo"))
		if err != nil {
			continue
		}
		inPod := func(pod unstructured.Unstructured) bool {
			// The kubelet itself sees the folders of all pods as they are in its own.
			return strings.Contains(string(mounts), "/pods/"+string(pod.GetUID())+"/etc-hosts /etc/hosts ")
		}
		if slices.ContainsFunc(pods, inPod) {
			p, err := os.FindProcess(pid)
			if err != nil {
				return nil, err
			}
			found = append(found, p)
		}
	}
	return found, nil
}
