# The image holds one static binary and the certificate authorities, and nothing else.
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t pgws .

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION"

FROM scratch
# For a database reached by TLS, and for a remote JWK set.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/pgws /pgws
USER 65532:65532
EXPOSE 3000
ENTRYPOINT ["/pgws"]
