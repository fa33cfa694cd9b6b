# What people type. Everything with logic in it is in Go: cmd/neuroscale, sealed/.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help

NAME  ?= default
STACK ?= $(shell timeout 5 docker version >/dev/null 2>&1 && echo dev || echo ci)
GO    ?= go

# Builds leave room for what people wait for: the machine has two cores.
NICE := nice -n 5
# Provider plugins where `sealed env` points; two are stand-ins, built here.
PLUGINS = $(NICE) $(GO) build -C sealed -o ../bin/pulumi-resource-standin ./cmd/pulumi-resource-standin && bin/sealed plugins
SEALED_ENV = eval "$$(bin/sealed env --name $(NAME))"

.PHONY: help up up-dev up-ci down down-dev down-ci test test-unit test-sealed test-programs test-docker test-dockerfiles test-cloud test-github test-e2e test-lifecycle test-versions bench pictures preview lint all-images need-go need-sealed \
        release-dry-run bin/neuroscale bin/sealed bin/release plugins

help: ## show this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-16s %s\n", $$1, $$2}'

up: up-$(STACK) ## bring the platform up and ask it for a prediction

up-dev: bin/neuroscale
	@bin/neuroscale up -s dev

# The command line and the stand-ins compile while the node and its images are
# made; images that the first prediction does not need are built while the
# platform comes up, and their pulls wait for them.
up-ci: need-sealed bin/sealed
	@{ $(PLUGINS) && $(NICE) $(GO) build -o bin/neuroscale ./cmd/neuroscale; } & build=$$!; \
	bin/sealed up --name $(NAME); wait $$build; \
	nice -n 15 bin/sealed images --missing & rest=$$!; trap 'kill $$rest 2>/dev/null || true' EXIT; \
	$(SEALED_ENV); bin/neuroscale up -s ci; wait $$rest

up-%: bin/neuroscale
	@bin/neuroscale up -s $*

preview: bin/neuroscale ## show what `make up` would change
	@if [ -x bin/sealed ]; then $(SEALED_ENV) 2>/dev/null || true; fi; bin/neuroscale preview -s $(STACK)

down: down-$(STACK) ## take down the node and everything on it

down-dev: bin/neuroscale
	@bin/neuroscale destroy -s dev --yes

down-ci: need-sealed bin/sealed
	@bin/sealed down --name $(NAME)

bench: need-sealed bin/neuroscale plugins ## measure what the platform promises, for docs/slo.json and the README (takes the node down and up again)
	@bin/sealed status --name $(NAME) >/dev/null 2>&1 || { echo "make: no platform is up that could be measured: run 'make up' first" >&2; exit 1; }
	@$(SEALED_ENV); bin/neuroscale bench -s ci --sealed bin/sealed --sealed-name $(NAME) --record

pictures: need-sealed bin/sealed bin/neuroscale plugins ## take the pictures in docs/img anew, by a browser (chromium) on a node of its own
	@mkdir -p docs/img
	@CI=true NEUROSCALE_E2E=1 NEUROSCALE_PICTURES=$(CURDIR)/docs/img $(GO) test -count 1 -timeout 20m ./tests/e2e \
		-run 'TestPlatform/(a_sealed_node_comes_up|an_up_that_was_killed|the_outputs_say|a_person_asks|a_sealed_down)'

# Images that are not there yet are made beside what needs none. If that fails, what
# needs them makes them, and says why it cannot.
test: need-sealed bin/sealed ## everything that is tested
	@nice -n 15 $(MAKE) --no-print-directory all-images >bin/images.log 2>&1 & images=$$!; trap 'kill $$images 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory lint test-unit; wait $$images || true; \
	$(MAKE) --no-print-directory test-sealed test-programs test-docker test-e2e

lint: need-go ## formatting, vet, staticcheck and tracked files of all modules
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	[ -z "$$unformatted" ] || { echo "not formatted (run gofmt -w): $$unformatted" >&2; exit 1; }
	@$(NICE) $(GO) vet ./...
	@$(NICE) $(GO) vet -C sealed ./...
	@$(NICE) $(GO) vet -C tools ./...
	@$(NICE) $(GO) vet -C docs/examples/serving ./...
	@$(NICE) $(GO) tool -modfile=tools/go.mod staticcheck ./...
	@$(NICE) $(GO) tool -C sealed -modfile=../tools/go.mod staticcheck ./...
	@$(NICE) $(GO) tool -C tools staticcheck ./...
	@$(NICE) $(GO) test -count 1 ./internal/tracked

test-unit: need-go ## unit tests of all modules
	@$(NICE) $(GO) test -timeout 10m $$($(GO) list ./... | grep -v '/tests\(/\|$$\)')
	@$(NICE) $(GO) test -C sealed -timeout 10m ./...
	@$(NICE) $(GO) test -C tools -timeout 10m ./...
	@$(NICE) $(GO) test -C docs/examples/serving -timeout 10m ./...

test-sealed: all-images ## the node, for real
	@NEUROSCALE_E2E=1 $(GO) test -C sealed -count 1 -timeout 10m ./internal/node

test-programs: all-images ## what unit tests ask the real programs of Kyverno and Prometheus
	@NEUROSCALE_E2E=1 $(GO) test -count 1 -timeout 10m ./cmd/neuroscale ./components/cost ./internal/guard

test-docker: all-images bin/neuroscale plugins ## stack dev on a Docker engine of its own
	@NEUROSCALE_E2E=1 $(GO) test -C sealed -count 1 -timeout 10m ./internal/standin/docker
	@NEUROSCALE_E2E=1 $(GO) test -count 1 -timeout 20m -run TestAPlatformInDocker ./tests/docker

# Not part of `make test`: it takes an engine ten minutes to build them.
test-dockerfiles: all-images bin/neuroscale plugins ## the Dockerfiles' images, and their way into a cluster, on a Docker engine of its own
	@NEUROSCALE_E2E=1 $(GO) test -v -count 1 -timeout 40m -skip TestAPlatformInDocker ./tests/docker

# Not part of `make test`, which has to end soon.
test-cloud: all-images bin/neuroscale plugins ## a stack in the shape of Pulumi.cloud.example.yaml, on a sealed node of its own
	@NEUROSCALE_E2E=1 $(GO) test -v -count 1 -timeout 40m ./tests/cloud

# Not part of `make test`: its provider takes minutes to compile, and waits a second
# between any two things that it writes.
test-github: need-go bin/sealed ## what the platform makes on GitHub, by the real engine and provider against a stand-in of GitHub
	@mkdir -p bin/github
	@$(NICE) $(GO) build -C sealed -o ../bin/pulumi-resource-standin ./cmd/pulumi-resource-standin
	@for name in random tls; do ln -sf ../pulumi-resource-standin bin/github/pulumi-resource-$$name; done
	@$(NICE) $(GO) build -C sealed/providers/github -ldflags '-s -w' -o ../../../bin/github/pulumi-resource-github .
	@$(NICE) $(GO) test -C sealed/providers/github .
	@export PATH="$(CURDIR)/bin/github:$$PATH:$${NEUROSCALE_CACHE:-$$HOME/.cache/neuroscale}/tools/bin"; \
	command -v pulumi >/dev/null || bin/sealed images pulumi; \
	NEUROSCALE_GITHUB=1 $(GO) test -v -count 1 -timeout 20m -run 'GitHub|TooManyRequests|ATokenThatWasReplaced' ./stacks

test-e2e: all-images bin/neuroscale plugins ## end to end on a sealed node of its own
	@NEUROSCALE_E2E=1 $(GO) test -count 1 -timeout 40m $$($(GO) list ./tests/... | grep -v '/tests/\(docker\|cloud\)$$')

# Not part of `make test`, which has to end soon.
test-lifecycle: need-sealed bin/sealed bin/neuroscale plugins ## end ups, nodes and clusters at bad moments, on a sealed node of its own
	@bin/sealed up --name lifecycle --all-images && NEUROSCALE_LIFECYCLE=1 $(GO) test -v -count 1 -timeout 90m -skip TestAVersion ./tests/lifecycle

test-versions: need-sealed bin/sealed bin/neuroscale plugins ## change each version alone and back while an endpoint is asked, on a sealed node of its own
	@bin/sealed up --name lifecycle --all-images && NEUROSCALE_LIFECYCLE=1 $(GO) test -v -count 1 -timeout 90m -run TestAVersion ./tests/lifecycle

# Gets packages and images with progress and outside the tests' deadlines: nothing
# may skip there for want of a node, a program or an image.
all-images: need-sealed bin/sealed
	@bin/sealed up --name e2e --all-images && bin/sealed down --name e2e

# The version that sealed/internal/images/images.yaml pins; another one is refused.
UPLOT = uplot-1.6.32

# Without Kyverno for a platform the guard's image is not for that one.
release-dry-run: bin/release ## make all that a release consists of, in dist, and neither publish nor sign it
	@rm -rf dist
	@cd bin && npm pack --silent $(subst -,@,$(UPLOT)) >/dev/null
	@$(NICE) bin/release build -version v0.0.0-dry-run -incomplete -reproduce \
		$(addprefix -kyverno ,$(realpath $(HOME)/.cache/neuroscale/tools/bin/kubectl-kyverno)) -uplot bin/$(UPLOT).tgz
	@cd dist && sha256sum --check --quiet checksums.txt

bin/neuroscale: need-go
	@$(NICE) $(GO) build -o $@ ./cmd/neuroscale

bin/sealed: need-go
	@$(NICE) $(GO) build -C sealed -o ../$@ ./cmd/sealed

bin/release: need-go
	@$(NICE) $(GO) build -C tools -o ../$@ ./release

plugins: bin/sealed
	@$(PLUGINS)

need-go:
	@command -v $(GO) >/dev/null || { echo "make: Go is not installed: install it from https://go.dev/dl/ (go.mod says which version)" >&2; exit 1; }

need-sealed: need-go
	@for tool in g++ python3; do command -v $$tool >/dev/null || { echo "make: $$tool is not installed, by which the portal's database is compiled: apt-get install $$tool" >&2; exit 1; }; done
	@[ "$$(uname -s)" = Linux ] || { echo "make: a sealed node needs Linux: use a cluster you have with 'bin/neuroscale up -s ci' and KUBECONFIG" >&2; exit 1; }
	@[ "$$(id -u)" = 0 ] || { echo "make: a sealed node needs root (namespaces, mounts): run this as root, or use a cluster you have with 'bin/neuroscale up -s ci' and KUBECONFIG" >&2; exit 1; }
