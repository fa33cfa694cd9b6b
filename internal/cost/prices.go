package cost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/neuroscale-platform/neuroscale/gitops"
	"github.com/neuroscale-platform/neuroscale/internal/nearest"
)

// PricesFile is the file of gitops.FS with the prices.
const PricesFile = "prices.yaml"

// Prices are what resources cost, in Currency. The names in the comments are
// those of OpenCost's default.json.
type Prices struct {
	// Currency is a code such as USD.
	Currency string `json:"currency"`
	// Description says where the prices come from.
	Description string `json:"description"`
	// HoursPerMonth is how many hours a month is counted as.
	HoursPerMonth float64 `json:"hoursPerMonth"`
	// CPU is for one core for an hour (CPU, spotCPU).
	CPU Price `json:"cpu"`
	// Memory is for one GiB for an hour (RAM, spotRAM).
	Memory Price `json:"memory"`
	// GPU is for one device for an hour (GPU, spotGPU).
	GPU Price `json:"gpu"`
	// Storage is for one GiB for an hour (storage).
	Storage float64 `json:"storage"`
	// Network is for sent data (zone-, region- and internetNetworkEgress).
	Network NetworkPrices `json:"network"`
	// LoadBalancer is for what a cloud's load balancer does.
	LoadBalancer LoadBalancerPrices `json:"loadBalancer"`
}

// Price is one resource on nodes that stay and on nodes that may be taken away.
type Price struct {
	OnDemand float64 `json:"onDemand"`
	Spot     float64 `json:"spot"`
}

// NetworkPrices are for one GiB sent, by where to.
type NetworkPrices struct {
	Zone     float64 `json:"zone"`
	Region   float64 `json:"region"`
	Internet float64 `json:"internet"`
}

// LoadBalancerPrices are for an hour of a forwarding rule
// (firstFiveForwardingRulesCost, additionalForwardingRuleCost) and one GiB
// received (LBIngressDataCost).
type LoadBalancerPrices struct {
	FirstFiveRules float64 `json:"firstFiveRules"`
	AdditionalRule float64 `json:"additionalRule"`
	Ingress        float64 `json:"ingress"`
}

// DefaultPrices are those of the embedded gitops folder.
func DefaultPrices() (*Prices, error) {
	data, err := fs.ReadFile(gitops.FS, PricesFile)
	if err != nil {
		return nil, fmt.Errorf("read the prices: %w", err)
	}
	return LoadPrices(data)
}

// LoadPrices reads a file such as gitops/prices.yaml. Every key has to be there
// and no other; the error joins all problems, one line each.
func LoadPrices(data []byte) (*Prices, error) {
	var raw map[string]any
	if err := yaml.UnmarshalStrict(data, &raw); err != nil {
		return nil, fmt.Errorf("read the prices: %w", err)
	}
	p := &Prices{}
	texts := map[string]*string{"currency": &p.Currency, "description": &p.Description}
	numbers := map[string]*float64{
		"hoursPerMonth": &p.HoursPerMonth,
		"cpu.onDemand":  &p.CPU.OnDemand, "cpu.spot": &p.CPU.Spot,
		"memory.onDemand": &p.Memory.OnDemand, "memory.spot": &p.Memory.Spot,
		"gpu.onDemand": &p.GPU.OnDemand, "gpu.spot": &p.GPU.Spot,
		"storage":      &p.Storage,
		"network.zone": &p.Network.Zone, "network.region": &p.Network.Region, "network.internet": &p.Network.Internet,
		"loadBalancer.firstFiveRules": &p.LoadBalancer.FirstFiveRules,
		"loadBalancer.additionalRule": &p.LoadBalancer.AdditionalRule,
		"loadBalancer.ingress":        &p.LoadBalancer.Ingress,
	}
	known := append(slices.Collect(maps.Keys(texts)), slices.Collect(maps.Keys(numbers))...)
	slices.Sort(known)
	values := flat(raw, "", map[string]any{})
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if slices.Contains(known, key) {
			continue
		}
		hint := "known are " + strings.Join(known, ", ")
		if n := nearest.Word(key, known); n != "" {
			hint = fmt.Sprintf("did you mean %s?", n)
		}
		problems = append(problems, fmt.Errorf("prices: %s is not a key: %s", key, hint))
	}
	for _, key := range known {
		value, ok := values[key]
		if !ok {
			problems = append(problems, fmt.Errorf("prices: %s is missing: write it", key))
			continue
		}
		if text := texts[key]; text != nil {
			*text, ok = value.(string)
			if !ok || strings.TrimSpace(*text) == "" {
				problems = append(problems, fmt.Errorf("prices: %s is %v: write a text", key, show(value)))
			}
			continue
		}
		number, ok := value.(float64)
		least := "0 or more"
		ok = ok && number >= 0 && !math.IsInf(number, 0)
		if key == "hoursPerMonth" {
			least, ok = "more than 0, at most 744", ok && number > 0 && number <= 744
		}
		if !ok {
			problems = append(problems, fmt.Errorf("prices: %s is %v: write a number without quotes, %s", key, show(value), least))
		}
		*numbers[key] = number
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return p, nil
}

// Monthly is what a costs in a month on nodes that stay, not rounded.
func (p *Prices) Monthly(a Amount) float64 {
	const gib = 1 << 30
	hourly := a.CPU.AsApproximateFloat64()*p.CPU.OnDemand +
		a.Memory.AsApproximateFloat64()/gib*p.Memory.OnDemand +
		a.GPU.AsApproximateFloat64()*p.GPU.OnDemand
	return hourly * p.HoursPerMonth
}

// flat puts the leaves of a tree into out under their dotted paths.
func flat(tree map[string]any, prefix string, out map[string]any) map[string]any {
	for key, value := range tree {
		if below, ok := value.(map[string]any); ok {
			flat(below, prefix+key+".", out)
			continue
		}
		out[prefix+key] = value
	}
	return out
}
