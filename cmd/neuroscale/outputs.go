package main

import (
	"encoding/json"
	"fmt"
)

// outputs are the stack outputs the commands use.
type outputs struct {
	Kubeconfig string                  `json:"kubeconfig"`
	ArgoCDURL  string                  `json:"argocdUrl"`
	GatewayURL string                  `json:"gatewayUrl"`
	ForgeURL   string                  `json:"forgeUrl"`
	ForgeUser  string                  `json:"forgeUser"`
	ForgePass  string                  `json:"forgePassword"`
	Repository string                  `json:"repository"`
	Endpoints  map[string]string       `json:"endpoints"`
	Layers     map[string]layerVersion `json:"layers"`
}

type layerVersion struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

func decodeOutputs(raw map[string]any) (*outputs, error) {
	text, err := json.Marshal(raw)
	if err != nil {
		return nil, fmt.Errorf("read the stack's outputs: %w", err)
	}
	var o outputs
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, fmt.Errorf("read the stack's outputs: %w", err)
	}
	return &o, nil
}
