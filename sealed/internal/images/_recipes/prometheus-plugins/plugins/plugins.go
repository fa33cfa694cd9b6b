// Package plugins is the service discovery that is compiled in.
package plugins

import _ "github.com/prometheus/prometheus/discovery/kubernetes" // registers itself
