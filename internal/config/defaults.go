package config

import "time"

// Default is the configuration of somebody who wrote nothing.
func Default() *Config {
	return &Config{
		Cluster: Cluster{
			Provider: ProviderExisting, Distribution: DistributionK3s,
			APIPort: 6550, Subnet: "10.89.0.0/24", Memory: "8Gi",
			OwnImages: OwnImagesAuto, RegistryPort: 6551,
		},
		GitOps: GitOps{NodePort: 30081},
		Forge: Forge{
			Provider: ForgeGitea, NodePort: 30082, Storage: "1Gi", Organization: "neuroscale", MaxPush: "20Mi", MaxRepository: "128Mi",
			// Its addresses change.
			GitHub: GitHub{Egress: []Egress{{CIDR: "0.0.0.0/0", Ports: []int{22, 443}}}},
		},
		Serving: Serving{
			Domain:  "neuroscale.test",
			Gateway: Gateway{NodePort: 30080, Type: ServiceNodePort},
			DefaultResources: Resources{
				CPU: "50m", Memory: "256Mi",
				Limits: Amounts{CPU: "1", Memory: "512Mi"},
			},
			// Knative's own registries: names that only local clusters know.
			RegistriesSkippingTagResolving: []string{"kind.local", "ko.local", "dev.local"},
			ScaleToZeroGracePeriod:         Duration(30 * time.Second),
			StableWindow:                   Duration(60 * time.Second),
			// Object stores on the internet.
			ModelStores: []Egress{{CIDR: "0.0.0.0/0", Ports: []int{443}}},
			Auth:        AuthKeys, AuthFailure: FailClosed,
			KeyRequestsPerMinute: 6000, PlatformKeyGeneration: 1,
		},
		// A month, so that it can be billed, and what is left over of the next day.
		Cost: Cost{Enabled: true, Retention: Duration(32 * day), Storage: "2Gi", Interval: Duration(30 * time.Second)},
		Portal: Portal{
			Enabled: true, NodePort: 30083, Storage: "1Gi",
			Database: PortalDatabase{Port: 5432, Name: "portal", User: "portal", SSLMode: SSLVerifyFull},
		},
		Endpoints: Endpoints{RequeueSeconds: 5},
		TLS:       TLS{Validity: Duration(365 * 24 * time.Hour), RenewBefore: Duration(30 * 24 * time.Hour)},
		Tenants: []Tenant{tenant(Tenant{
			Namespace: "default", Owner: "platform-team", CostCenter: "platform",
			Repositories: []string{"endpoints"}, Members: []string{"data-scientist"},
		})},
	}
}

// tenant is t with the quota and limits of a tenant that wrote none.
func tenant(t Tenant) Tenant {
	t.Quota = Quota{
		Requests: Shares{CPU: "4", Memory: "8Gi", EphemeralStorage: "10Gi"},
		Limits:   Shares{CPU: "8", Memory: "16Gi", EphemeralStorage: "100Gi"},
		Pods:     20, Deployments: 10, InferenceServices: 5,
		Services: 60, ConfigMaps: 50, Secrets: 10,
		VolumeClaims: 5, Storage: "10Gi",
		Applications: 50,
	}
	// A model that fits a container's memory fits its disk: the storage initializer,
	// which can ask for none, has the default.
	t.Limits = ContainerLimits{
		Default:        Shares{CPU: "500m", Memory: "512Mi", EphemeralStorage: "4Gi"},
		DefaultRequest: Shares{CPU: "100m", Memory: "128Mi", EphemeralStorage: "256Mi"},
		Max:            Shares{CPU: "2", Memory: "4Gi", EphemeralStorage: "16Gi"},
		Min:            Shares{CPU: "10m", Memory: "32Mi", EphemeralStorage: "1Mi"},
	}
	return t
}

// setDefaults makes the first tenant in a list begin as the default one, any other
// with its figures: whose it is, where its endpoints come from and who writes them is
// its own.
func (t *Tenant) setDefaults(place int) {
	if place == 0 {
		*t = Default().Tenants[0]
		return
	}
	*t = tenant(*t)
}
