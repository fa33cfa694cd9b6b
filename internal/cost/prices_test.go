package cost

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/neuroscale-platform/neuroscale/gitops"
)

func TestTheDefaultPricesAreOpenCosts(t *testing.T) {
	p, err := DefaultPrices()
	require.NoError(t, err)
	assert.Equal(t, &Prices{
		Currency: "USD", Description: "OpenCost's default prices, based on GCP us-central1", HoursPerMonth: 730,
		CPU:     Price{OnDemand: 0.031611, Spot: 0.006655},
		Memory:  Price{OnDemand: 0.004237, Spot: 0.000892},
		GPU:     Price{OnDemand: 0.95, Spot: 0.308},
		Storage: 0.00005479452,
		Network: NetworkPrices{Zone: 0.01, Region: 0.01, Internet: 0.12},
	}, p)
}

func TestLoadPricesNamesEveryProblemInOneSentence(t *testing.T) {
	data, err := fs.ReadFile(gitops.FS, PricesFile)
	require.NoError(t, err)
	for name, test := range map[string]struct{ old, replacement, want string }{
		"unknown key":    {"storage:", "storag:", "prices: storag is not a key: did you mean storage?\nprices: storage is missing: write it"},
		"missing key":    {"  region: 0.01\n", "", "prices: network.region is missing: write it"},
		"quoted":         {"onDemand: 0.95", `onDemand: "0.95"`, `prices: gpu.onDemand is "0.95": write a number without quotes, 0 or more`},
		"negative":       {"onDemand: 0.95", "onDemand: -1", "prices: gpu.onDemand is -1: write a number without quotes, 0 or more"},
		"empty":          {"onDemand: 0.95", "onDemand:", "prices: gpu.onDemand is empty: write a number without quotes, 0 or more"},
		"no month":       {"hoursPerMonth: 730", "hoursPerMonth: 0", "prices: hoursPerMonth is 0: write a number without quotes, more than 0, at most 744"},
		"a year":         {"hoursPerMonth: 730", "hoursPerMonth: 8760", "prices: hoursPerMonth is 8760: write a number without quotes, more than 0, at most 744"},
		"no currency":    {"currency: USD", `currency: " "`, `prices: currency is " ": write a text`},
		"a list":         {"hoursPerMonth: 730", "hoursPerMonth: [730]", "prices: hoursPerMonth is [730]: write a number without quotes, more than 0, at most 744"},
		"two at once":    {"spot: 0.308", "spots: x", "prices: gpu.spots is not a key: did you mean gpu.spot?\nprices: gpu.spot is missing: write it"},
		"a key too high": {"currency: USD", "currency: USD\nzone: 1", "prices: zone is not a key: known are"},
		"a key twice":    {"currency: USD", "currency: USD\ncurrency: EUR", `key "currency" already set in map`},
		"no YAML":        {"currency: USD", "currency: [", "read the prices"},
		"nothing at all": {string(data), "", "prices: cpu.onDemand is missing: write it"},
		"not a number":   {"onDemand: 0.95", "onDemand: .inf", "prices"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(data), test.old, test.replacement, 1)
			require.NotEqual(t, string(data), changed)
			_, err := LoadPrices([]byte(changed))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestAMonthByHand(t *testing.T) {
	p, err := DefaultPrices()
	require.NoError(t, err)
	for name, test := range map[string]struct {
		cpu, memory, gpu string
		want             float64
	}{
		"a core":       {"1", "0", "0", 23.07603},  // 0.031611 * 730
		"a GiB":        {"0", "1Gi", "0", 3.09301}, // 0.004237 * 730
		"a GPU":        {"0", "0", "1", 693.5},     // 0.95 * 730
		"all at once":  {"500m", "512Mi", "2", 11.538015 + 1.546505 + 1387},
		"one millicpu": {"1m", "0", "0", 0.02307603},
		"nothing":      {"0", "0", "0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := Amount{CPU: resource.MustParse(test.cpu), Memory: resource.MustParse(test.memory), GPU: resource.MustParse(test.gpu)}
			assert.InDelta(t, test.want, p.Monthly(a), 1e-9)
		})
	}
}
