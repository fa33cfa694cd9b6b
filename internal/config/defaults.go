package config

import "time"

// Default is the configuration of somebody who wrote nothing.
func Default() *Config {
	return &Config{
		Cluster: Cluster{Provider: ProviderExisting},
		GitOps:  GitOps{NodePort: 30081},
		Forge:   Forge{NodePort: 30082, Storage: "1Gi", Organization: "neuroscale"},
		Serving: Serving{
			Domain:  "neuroscale.test",
			Gateway: Gateway{NodePort: 30080},
			DefaultResources: Resources{
				CPU: "50m", Memory: "256Mi",
				Limits: Limits{CPU: "1", Memory: "512Mi"},
			},
			// Knative's own registries: names that only local clusters know.
			RegistriesSkippingTagResolving: []string{"kind.local", "ko.local", "dev.local"},
			ScaleToZeroGracePeriod:         Duration(30 * time.Second),
			StableWindow:                   Duration(60 * time.Second),
		},
		Endpoints: Endpoints{Namespace: "default", RequeueSeconds: 5},
	}
}
