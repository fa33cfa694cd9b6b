// Package showback says what was really used and by whom: it asks OpenCost, and
// adds up by owner, cost center, tenant or endpoint.
package showback

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// By is what costs are added up by.
type By string

// What costs can be added up by.
const (
	ByOwner      By = "owner"
	ByCostCenter By = "cost-center"
	ByTenant     By = "tenant"
	ByEndpoint   By = "endpoint"
)

// Bys are all of them.
var Bys = []By{ByOwner, ByCostCenter, ByTenant, ByEndpoint}

// Unattributed is the row of what runs for a tenant and names nobody. There is
// none while the guardrails hold.
const Unattributed = "unattributed"

// Money is an amount of Report.Currency by what it is for.
type Money struct {
	CPU    float64 `json:"cpu"`
	Memory float64 `json:"memory"`
	// Other is for GPUs, volumes and networks.
	Other float64 `json:"other"`
}

// Total of all three.
func (m Money) Total() float64 { return m.CPU + m.Memory + m.Other }

// Plus is m and n together.
func (m Money) Plus(n Money) Money {
	return Money{m.CPU + n.CPU, m.Memory + n.Memory, m.Other + n.Other}
}

func (m Money) times(f float64) Money { return Money{m.CPU * f, m.Memory * f, m.Other * f} }

// Use is what something used of a cluster, priced, in a time.
type Use struct {
	Namespace, Owner, CostCenter string
	// Endpoint is the InferenceService, or another workload as kind:name.
	Endpoint string
	Money
	// Start is when it was first seen in that time.
	Start time.Time
}

// Usage is all use of a cluster in a time.
type Usage struct {
	Start, End time.Time
	Uses       []Use
	// Idle is what nobody used or asked for.
	Idle Money
}

// Row is one line of a report.
type Row struct {
	// Name of the owner, cost center or tenant; of an endpoint behind its tenant's.
	Name string `json:"name"`
	Money
	// Cost is the sum of them.
	Cost float64 `json:"cost"`
	// Monthly is the cost of a month at the rate of the last hour, or of what there is
	// of it since it began.
	Monthly float64 `json:"monthly"`
}

func row(name string, cost, rate Money) Row {
	return Row{Name: name, Money: cost, Cost: cost.Total(), Monthly: rate.Total()}
}

// Report is what a cluster cost in a time.
type Report struct {
	By       By     `json:"by"`
	Currency string `json:"currency"`
	// Asked is the beginning that was asked for. Start is later if nothing was
	// measured then.
	Asked time.Time `json:"asked"`
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Measured is for how much of the time from Start to End measurements were
	// taken, from 0 to 1.
	Measured float64 `json:"measured"`
	// Rows are the tenants', the dearest first; what names nobody is among them as
	// Unattributed.
	Rows []Row `json:"rows"`
	// Tenants is the sum of Rows, Platform what the platform itself used, Idle what
	// nobody did, and Total all three.
	Tenants  Row `json:"tenants"`
	Platform Row `json:"platform"`
	Idle     Row `json:"idle"`
	Total    Row `json:"total"`
	// Estimates are beside the bills of endpoints, if they were asked for.
	Estimates []Compared `json:"estimates,omitempty"`
}

// Settings of a report.
type Settings struct {
	By       By
	Currency string
	// HoursPerMonth is what a month is counted as.
	HoursPerMonth float64
	// Tenants are the namespaces that are a tenant's; all others are the platform's.
	Tenants []string
}

// New adds up usage. The rate by which a month is foretold is that of recent.
func New(usage, recent Usage, s Settings) *Report {
	r := &Report{By: s.By, Currency: s.Currency, Asked: usage.Start, Start: usage.Start, End: usage.End, Measured: 1, Rows: []Row{}}
	cost, platform := s.sums(usage)
	rates, platformRate := s.monthly(recent)
	var tenants, tenantsRate Money
	names := maps.Clone(cost)
	maps.Copy(names, rates)
	for name := range names {
		r.Rows = append(r.Rows, row(name, cost[name], rates[name]))
		tenants, tenantsRate = tenants.Plus(cost[name]), tenantsRate.Plus(rates[name])
	}
	slices.SortFunc(r.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), strings.Compare(a.Name, b.Name))
	})
	idleRate := s.month(recent.Idle, recent.Start, recent.End)
	r.Tenants = row("tenants", tenants, tenantsRate)
	r.Platform = row("platform", platform, platformRate)
	r.Idle = row("idle", usage.Idle, idleRate)
	r.Total = row("total", tenants.Plus(platform).Plus(usage.Idle), tenantsRate.Plus(platformRate).Plus(idleRate))
	return r
}

// sums of tenants' use by name, and of the platform's.
func (s Settings) sums(u Usage) (tenants map[string]Money, platform Money) {
	tenants = map[string]Money{}
	for _, use := range u.Uses {
		if !slices.Contains(s.Tenants, use.Namespace) {
			platform = platform.Plus(use.Money)
			continue
		}
		name := s.By.name(use)
		tenants[name] = tenants[name].Plus(use.Money)
	}
	return tenants, platform
}

// monthly is what tenants, by name, and the platform cost in a month that is like u.
// What began in that time is counted from when it did.
func (s Settings) monthly(u Usage) (tenants map[string]Money, platform Money) {
	tenants, platform = s.sums(u)
	began := map[string]time.Time{}
	for _, use := range u.Uses {
		name := s.By.name(use)
		if first, known := began[name]; !known || use.Start.Before(first) {
			began[name] = use.Start
		}
	}
	for name, cost := range tenants {
		tenants[name] = s.month(cost, began[name], u.End)
	}
	return tenants, s.month(platform, u.Start, u.End)
}

// month is the cost of one that is like the time from start to end.
func (s Settings) month(cost Money, start, end time.Time) Money {
	if hours := end.Sub(start).Hours(); hours > 0 {
		return cost.times(s.HoursPerMonth / hours)
	}
	return Money{}
}

func (by By) name(u Use) string {
	name := ""
	switch by {
	case ByOwner:
		name = u.Owner
	case ByCostCenter:
		name = u.CostCenter
	case ByTenant:
		name = u.Namespace
	case ByEndpoint:
		if u.Endpoint != "" {
			name = u.Namespace + "/" + u.Endpoint
		}
	default:
		panic(fmt.Sprintf("showback: %q is nothing to add up by", by))
	}
	return cmp.Or(name, Unattributed)
}
