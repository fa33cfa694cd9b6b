package guard

import "github.com/neuroscale-platform/neuroscale/internal/cost"

// Level is how much a finding matters.
type Level string

// Levels, most severe first. Only errors make a run fail.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Note    Level = "note"
)

// Rules of findings that are not a policy's; a policy's rule is its name.
const (
	RuleRead       = "read"
	RuleNamespace  = "namespace"
	RuleKind       = "kind"
	RuleFolder     = "folder"
	RuleSchema     = "schema"
	RuleKyverno    = "kyverno"
	RuleNative     = "native"
	RuleAccounting = "accounting"
	RuleProbe      = "probe"
	RuleAgreement  = "agreement"
	RuleCluster    = "cluster"
	RuleBase       = "base"
	RuleChange     = "change"
	RuleQuota      = "quota"
)

// Finding is one thing that somebody should know.
type Finding struct {
	Rule  string `json:"rule"`
	Level Level  `json:"level"`
	// File and Line say where; no file means the run itself, line 0 the file.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Object is the object's kind, namespace and name.
	Object string `json:"object,omitempty"`
	// Message is one sentence: what is wrong and what to write.
	Message string `json:"message"`
}

// Report is what a run found and, as important, what it looked at.
type Report struct {
	// Passed is whether everything asked for holds.
	Passed bool `json:"passed"`
	// Paths are what was to be checked, Files how many manifests were read there.
	Paths []string `json:"paths"`
	Files int      `json:"files"`
	// KyvernoVersion is that of Kyverno's command line.
	KyvernoVersion string           `json:"kyvernoVersion"`
	Documents      []DocumentReport `json:"documents"`
	Policies       []PolicyCount    `json:"policies"`
	// Probes is how many verdicts on built-in documents were as they have to be,
	// of ProbesExpected.
	Probes         int `json:"probes"`
	ProbesExpected int `json:"probesExpected"`
	// Cluster is how many documents a cluster judged; nil if none was asked.
	Cluster  *int      `json:"cluster,omitempty"`
	Findings []Finding `json:"findings"`
	// Empty is that no object is what there is to check: the last one is removed.
	Empty bool `json:"empty,omitempty"`
	// Base is the Git reference compared with, Change what the comparison says.
	Base   string      `json:"base,omitempty"`
	Change *cost.Delta `json:"change,omitempty"`
	// Seconds is how long the run took.
	Seconds float64 `json:"seconds"`
}

// DocumentReport is an object that was checked.
type DocumentReport struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Endpoint string `json:"endpoint"`
	Object   string `json:"object"`
}
