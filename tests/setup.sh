#!/bin/sh
# Installs what tests/e2e and tests/clients need of other languages and of Prometheus, in the versions that the files
# there say: Python's packages into .venv, everything else into target/clients. Does nothing for
# what has been done: each part has a stamp with what it was made of.
set -eu
cd "$(dirname "$0")/.."

clients=$PWD/target/clients
# Applications and tools in Go, each in the versions of its own go.mod.
grpcurl=github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
health_probe=github.com/grpc-ecosystem/grpc-health-probe@v0.4.62
telemetrygen=github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0

fail() {
    echo "tests/setup.sh: $*" >&2
    exit 1
}

needs() {
    command -v "$1" >/dev/null || fail "needs $1 ($2) for tests/clients"
}

# once STAMP INSTALL FILES...: runs INSTALL unless STAMP says that it was done for these files.
once() {
    stamp=$1 install=$2
    shift 2
    now=$(cat "$@" | cksum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then
        return
    fi
    "$install"
    echo "$now" >"$stamp"
}

python() {
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "needs Python 3.11 or newer; set PYTHON to one"
    # A virtual environment that was cut short is not mended but made again.
    rm -rf .venv
    "$python" -m venv .venv ||
        fail "no venv in $python; on Debian and Ubuntu: apt-get install python3-venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        -r tests/e2e/requirements.txt
    .venv/bin/python -m pip --disable-pip-version-check check >&2
}

node() {
    needs npm "Node.js 20.6 or newer"
    mkdir -p "$clients/node"
    cp tests/clients/node/package*.json "$clients/node"
    npm ci --prefix "$clients/node" --ignore-scripts --no-audit --no-fund --silent
}

java() {
    needs mvn "Maven 3.8 and Java 17 or newer"
    mvn --batch-mode --quiet --file tests/clients/java/pom.xml compile
}

go() {
    needs go "Go 1.26 or newer"
    (cd tests/clients/go && command go build -o "$clients/go/app" .)
}

tools() {
    needs go "Go 1.26 or newer"
    for tool in "$grpcurl" "$health_probe" "$telemetrygen"; do
        GOBIN=$clients/bin command go install "$tool"
    done
}

# Prometheus of the distribution; there is nothing to pin: any version scrapes.
prometheus() {
    if command -v promtool >/dev/null; then return; fi
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] ||
        fail "needs prometheus and promtool; on Debian and Ubuntu, as root: apt-get install prometheus"
    install="apt-get install --yes --no-install-recommends prometheus"
    $install >&2 || { apt-get update >&2 && $install >&2; } || fail "cannot: $install"
}

prometheus
mkdir -p "$clients/java" "$clients/go" "$clients/node" "$clients/bin"
once .venv/stamp python tests/e2e/requirements.txt
once "$clients/node/stamp" node tests/clients/node/package*.json
once "$clients/java/stamp" java tests/clients/java/pom.xml tests/clients/java/src/main/java/*
once "$clients/go/stamp" go tests/clients/go/*
once "$clients/bin/stamp" tools tests/setup.sh
