// OpenCost's cost model, as upstream's command starts it, without the costs of a
// cloud's bill.
package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/viper"

	"github.com/opencost/opencost/pkg/costmodel"
	"github.com/opencost/opencost/pkg/env"
	"github.com/opencost/opencost/pkg/log"
	"github.com/opencost/opencost/pkg/metrics"
	"github.com/opencost/opencost/pkg/version"
)

func main() {
	// As upstream's flags have it: LOG_LEVEL and LOG_FORMAT.
	viper.SetDefault("log-level", "info")
	viper.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	viper.AutomaticEnv()
	log.InitLogging(true)
	log.Infof("OpenCost %s", version.FriendlyVersion())
	model := costmodel.Initialize()
	model.Router.GET("/healthz", func(http.ResponseWriter, *http.Request, httprouter.Params) {})
	model.Router.GET("/allocation", model.ComputeAllocationHandler)
	model.Router.GET("/allocation/summary", model.ComputeAllocationHandlerSummary)
	model.Router.GET("/assets", model.ComputeAssetsHandler)

	mux := http.NewServeMux()
	mux.Handle("/", model.Router)
	mux.Handle("/metrics", promhttp.Handler())
	if err := http.ListenAndServe(":"+strconv.Itoa(env.GetAPIPort()), metrics.ResponseMetricMiddleware(mux)); err != nil {
		log.Errorf("%s", err)
		os.Exit(1)
	}
}
