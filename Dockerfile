# The platform's own programs as images, where there is Docker; the portal's is in
# portal/. From this folder, for each of the last stages:
#   docker build --target guard --tag ghcr.io/neuroscale-platform/guard:v0.6.0 .
FROM golang:1.26.2-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY gitops gitops
COPY internal internal
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/neuroscale-dashboards ./cmd/neuroscale-doorkeeper ./cmd/neuroscale-forge-proxy ./cmd/neuroscale-guard \
 && install -d -m 1777 /out/root/tmp

FROM reg.kyverno.io/kyverno/kyverno-cli:v1.19.1 AS kyverno

FROM node:24.18.1-bookworm AS uplot
WORKDIR /src
RUN npm pack uplot@1.6.32 && tar xzf uplot-1.6.32.tgz

FROM scratch AS dashboards
COPY --from=build /out/neuroscale-dashboards /dashboards
COPY --from=uplot /src/package/dist/uPlot.iife.min.js /uplot/uPlot.iife.min.js
COPY --from=uplot /src/package/dist/uPlot.min.css /uplot/uPlot.min.css
COPY --from=uplot /src/package/LICENSE /uplot/LICENSE
USER 65532:65532
ENTRYPOINT ["/dashboards"]

FROM scratch AS doorkeeper
COPY --from=build /out/neuroscale-doorkeeper /doorkeeper
USER 65532:65532
ENTRYPOINT ["/doorkeeper"]

FROM scratch AS forge-proxy
COPY --from=build /out/neuroscale-forge-proxy /forge-proxy
USER 65532:65532
ENTRYPOINT ["/forge-proxy"]

FROM scratch AS guard
COPY --from=build /out/neuroscale-guard /guard
# What is in a folder keeps its mode, the folder that is copied does not.
COPY --from=build /out/root /
COPY --from=kyverno /ko-app/kubectl-kyverno /kubectl-kyverno
USER 65532:65532
ENTRYPOINT ["/guard"]
