// Package config has no settings of clouds.
package config

import (
	"net/http"

	"github.com/julienschmidt/httprouter"

	"github.com/opencost/opencost/pkg/cloud/models"
)

// Controller of nothing.
type Controller struct{}

// NewController is one.
func NewController(models.Provider) *Controller { return &Controller{} }

func none(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
	http.Error(w, "there are no clouds here", http.StatusNotFound)
}

// GetExportConfigHandler says that there are none.
func (*Controller) GetExportConfigHandler() httprouter.Handle { return none }

// GetEnableConfigHandler says that there are none.
func (*Controller) GetEnableConfigHandler() httprouter.Handle { return none }

// GetDisableConfigHandler says that there are none.
func (*Controller) GetDisableConfigHandler() httprouter.Handle { return none }

// GetDeleteConfigHandler says that there are none.
func (*Controller) GetDeleteConfigHandler() httprouter.Handle { return none }
