package doctor

import (
	"context"
	"time"

	"github.com/neuroscale-platform/neuroscale/components/cost"
	"github.com/neuroscale-platform/neuroscale/internal/kube"
)

// costs looks at a namespace of what measures and prices, unless that is switched off.
func costs(namespace string) func(context.Context, *Platform) ([]Finding, error) {
	return func(ctx context.Context, p *Platform) ([]Finding, error) {
		if !p.Config.Cost.Enabled {
			return nil, nil
		}
		return p.runs(ctx, namespace, every)
	}
}

var prometheusDown = Detector{
	ID: "prometheus-down", Follows: append([]string{layerPaused.ID}, below...),
	Symptom: "`cost` and `top` say that Prometheus has no pod that is ready; OpenCost runs and knows of nothing. Costs of this time are missing.",
	Cause:   "Prometheus, without which OpenCost has nothing to price, has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat + " What was measured is on its volume and stays.",
	ByHand:  "`kubectl logs -n prometheus-system deployment/prometheus`: `no space left on device` means that the volume is full. See *No costs* below.",
	Look:    costs(cost.Prometheus.Namespace),
}

var openCostDown = Detector{
	ID: "opencost-down", Follows: append([]string{layerPaused.ID, prometheusDown.ID}, below...),
	Symptom: "`cost` says `ask OpenCost: ...`; the portal shows no costs.",
	Cause:   "OpenCost has no pod, ends by itself, or hangs.",
	Repair:  restartsWhat,
	ByHand:  "`kubectl logs -n opencost deployment/opencost` has what it asked Prometheus, and the answer. `kubectl rollout restart deployment/opencost -n opencost`.",
	Look:    costs(cost.OpenCost.Namespace),
}

var nothingMeasured = Detector{
	ID: "nothing-measured", Follows: append([]string{prometheusDown.ID, openCostDown.ID, layerPaused.ID}, below...),
	Symptom: "Everything runs, and `cost` says that nothing is measured, or since when. The alerts are `NothingMeasured` and `MeasurementsRefused`.",
	Cause:   "Prometheus does not reach OpenCost or a kubelet, or has done so only for a moment; or it cannot write to its volume.",
	ByHand:  "`bin/neuroscale forward prometheus`, and *Status, Targets* of its API (`/api/v1/targets`) says why. After a bring-up it takes a minute. A volume that is full is made larger by `cost.storage`. See *No costs* below.",
	Look: func(ctx context.Context, p *Platform) ([]Finding, error) {
		if !p.Config.Cost.Enabled {
			return nil, nil
		}
		for _, namespace := range []string{cost.Prometheus.Namespace, cost.OpenCost.Namespace} {
			pods, err := p.list(ctx, kube.Pods, namespace, "")
			if err != nil {
				return nil, err
			}
			for i := range pods {
				at := kube.Moment(kube.Text(pods[i].Object, "status", "startTime"))
				if at == nil || time.Since(*at) < measuredAfter {
					return nil, nil // it has only begun
				}
			}
		}
		if err := p.Costs.Measures(ctx, time.Now()); err != nil {
			return []Finding{{Says: "nothing is measured that could be priced", Object: "Prometheus", Saw: sentence(err.Error()), Where: cost.Prometheus.Namespace}}, nil
		}
		return nil, nil
	},
}

// measuredAfter is how long after their start Prometheus and OpenCost have to know
// of something.
const measuredAfter = 3 * time.Minute
