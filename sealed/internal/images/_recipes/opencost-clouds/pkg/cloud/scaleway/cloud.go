// Package scaleway is a cloud that no sealed node is in.
package scaleway

import (
	"github.com/opencost/opencost/pkg/clustercache"

	"github.com/opencost/opencost/pkg/cloud/models"
)

// Scaleway is never made.
type Scaleway struct {
	models.Provider
	Clientset                       clustercache.ClusterCache
	Config                          models.ProviderConfig
	ClusterRegion, ClusterAccountID string
}
