// Package aws is a cloud that no sealed node is in.
package aws

import (
	"github.com/opencost/opencost/pkg/clustercache"

	"github.com/opencost/opencost/pkg/cloud/models"
)

// Kinds of settings that are refused.
const (
	SpotInfoUpdateType   = "spotinfo"
	AthenaInfoUpdateType = "athenainfo"
)

// AWS is never made.
type AWS struct {
	models.Provider
	Clientset                       clustercache.ClusterCache
	Config                          models.ProviderConfig
	ClusterRegion, ClusterAccountID string
	ServiceAccountChecks            *models.ServiceAccountChecks
}
