package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/doctor"
	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
)

func TestAClusterThatIsGoneIsAFindingOfTheDoctor(t *testing.T) {
	m := newMachine(t)
	m.well()
	m.api.Close()
	code, out, errout := m.run("doctor")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "does not answer (cluster-unreachable)")
	assert.Equal(t, "neuroscale: stack ci is not well: see above what was found and what to do\n", errout)

	code, out, _ = m.run("doctor", "-o", "json")
	assert.Equal(t, 1, code)
	var report doctor.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Len(t, report.Findings, 1)
	assert.Equal(t, "cluster-unreachable", report.Findings[0].Detector)
	assert.NotEmpty(t, report.Untried)
	assert.False(t, report.Well)
}

func TestTheDoctorLooksAtAStackWhoseStateCannotBeRead(t *testing.T) {
	m := newMachine(t)
	fakepulumi.Install(t, fakepulumi.Script{})
	code, out, errout := m.run("doctor", "--fix")
	assert.Equal(t, 1, code, errout)
	assert.Contains(t, out, "the outputs of stack ci cannot be read (state-unreadable)")
	assert.Contains(t, out, "run `neuroscale up -s ci` first")
}

func TestTheDoctorReleasesALockOfAKilledRun(t *testing.T) {
	m := newMachine(t)
	m.well()
	m.api.Close()
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	host, err := os.Hostname()
	require.NoError(t, err)
	file := filepath.Join(m.env["HOME"], ".local", "state", "neuroscale", ".pulumi", "locks", "organization", "neuroscale", "ci", "1.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `{"pid":%d,"hostname":%q,"timestamp":%q}`, ended.Process.Pid, host, time.Now().Format(time.RFC3339)), 0o600))
	code, out, _ := m.run("doctor")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "stack ci is locked by a run that was killed (state-locked)")
	require.FileExists(t, file)
	_, out, errout := m.run("doctor", "--fix")
	assert.Contains(t, out, "repair  remove the lock of process")
	assert.NotContains(t, out, "found   stack ci is locked")
	assert.NoFileExists(t, file)
	assert.Equal(t, 1, strings.Count(errout, "repairing"))
}
