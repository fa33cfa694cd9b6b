// Package alibaba is a cloud that no sealed node is in.
package alibaba

import (
	"github.com/opencost/opencost/pkg/clustercache"

	"github.com/opencost/opencost/pkg/cloud/models"
)

// Alibaba is never made.
type Alibaba struct {
	models.Provider
	Clientset                       clustercache.ClusterCache
	Config                          models.ProviderConfig
	ClusterRegion, ClusterAccountId string
	ServiceAccountChecks            *models.ServiceAccountChecks
}
