// Package gcp is a cloud that no sealed node is in.
package gcp

import (
	"cloud.google.com/go/compute/metadata"
	"github.com/opencost/opencost/pkg/clustercache"

	"github.com/opencost/opencost/pkg/cloud/models"
)

// BigqueryUpdateType is a kind of settings that is refused.
const BigqueryUpdateType = "bigqueryupdate"

// GCP is never made.
type GCP struct {
	models.Provider
	Clientset                                         clustercache.ClusterCache
	Config                                            models.ProviderConfig
	APIKey                                            string
	ClusterRegion, ClusterAccountID, ClusterProjectID string
	MetadataClient                                    *metadata.Client
}

// ParseGCPProjectID knows of none.
func ParseGCPProjectID(string) string { return "" }
