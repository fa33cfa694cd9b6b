package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/neuroscale-platform/neuroscale/internal/fakepulumi"
	"github.com/neuroscale-platform/neuroscale/internal/guard"
	"github.com/neuroscale-platform/neuroscale/tests/rig"
)

func TestGuardRefusesWhatItCannotDo(t *testing.T) {
	fakepulumi.Install(t, fakepulumi.Script{})
	m := newMachine(t)
	m.write("prices.yaml", "currency: USD\n")
	prices := filepath.Join(m.root, "prices.yaml")
	for want, args := range map[string][]string{
		"guard needs at least one PATH: name the folder of the endpoints, such as apps": {"guard"},
		"-o yaml is unknown: use text or json or markdown or sarif":                     {"guard", "x", "-o", "yaml"},
		`the namespace "elsewhere" is no tenant's: use default`:                         {"guard", "x", "-n", "elsewhere"},
		`the CPU threshold is "much"`:                                                   {"guard", "x", "--cpu-threshold", "much"},
		"read the prices (--prices): open nowhere: no such file or directory":           {"guard", "x", "--prices", "nowhere"},
		"--prices " + prices + ": ":                                                     {"guard", "x", "--prices", prices},
		"run `neuroscale up -s dev` first":                                              {"guard", "x", "--cluster", "-s", "dev"},
	} {
		code, out, errout := m.run(args...)
		assert.Equal(t, 1, code, args)
		assert.Empty(t, out, args)
		assert.Contains(t, errout, want, args)
	}
}

// Without Kyverno nothing may pass, and whoever reads the report has to learn why.
func TestGuardWritesItsReportAlsoWhenItFails(t *testing.T) {
	m := newMachine(t)
	m.env["NEUROSCALE_KYVERNO"] = filepath.Join(m.root, "nothing")
	apps := filepath.Join("..", "..", "gitops", "apps")
	for format, begins := range map[string]string{
		"text": "error", "json": "{\n", "markdown": guard.Marker + "\n## Guard: failed\n", "sarif": "{\n  \"$schema\"",
	} {
		code, out, errout := m.run("guard", apps, "-o", format)
		assert.Equal(t, 1, code, format)
		assert.Equal(t, "neuroscale: guard found 1 error in 4 objects\n", errout)
		require.GreaterOrEqual(t, len(out), len(begins), format)
		assert.Equal(t, begins, out[:len(begins)], format)
		assert.Contains(t, out, "Kyverno's command line is not there", format)
	}
}

func TestGuardPassesTheFirstEndpoints(t *testing.T) {
	program := rig.Kyverno(t)
	m := newMachine(t)
	m.env["NEUROSCALE_KYVERNO"] = program
	code, out, errout := m.run("guard", filepath.Join("..", "..", "gitops", "apps"), "-o", "json")
	require.Equal(t, 0, code, errout)
	var report guard.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.True(t, report.Passed)
	assert.Len(t, report.Documents, 4)
	assert.Empty(t, errout)
}
