// Package azure is a cloud that no sealed node is in.
package azure

import (
	"github.com/opencost/opencost/pkg/clustercache"

	"github.com/opencost/opencost/pkg/cloud/models"
)

// AzureStorageUpdateType is a kind of settings that is refused.
const AzureStorageUpdateType = "AzureStorage"

// Azure is never made.
type Azure struct {
	models.Provider
	Clientset                       clustercache.ClusterCache
	Config                          models.ProviderConfig
	ClusterRegion, ClusterAccountID string
	ServiceAccountChecks            *models.ServiceAccountChecks
}

// ParseAzureSubscriptionID knows of none.
func ParseAzureSubscriptionID(string) string { return "" }
