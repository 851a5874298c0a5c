#!/usr/bin/env bash
# Build an image with buildah and run it with podman and runc, without Docker. Needs root and the
# Debian packages buildah, podman, runc and debootstrap.
#
#   deploy/verify/image.sh cpu                     build the target, run it, test it
#   BASE=localhost/some:image deploy/verify/image.sh cuda
#
# Without BASE the base image is a Debian by debootstrap, instead of python:3.12-slim. PIP_CONF is a
# pip.conf for the build, and CA_BUNDLE the certificates to trust in it. WHISPER is a Python with
# vivavoce[kokoro,bench], which then transcribes the voices.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${1:?name a target: cpu or cuda}
base=${BASE:-localhost/vivavoce-stand-in}
port=${PORT:-18000}
image=localhost/vivavoce:$target
scratch=$(mktemp -d -t vivavoce-image.XXXXXX)
container=vivavoce-verify-$$
trap 'podman rm --force "$container" >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT

say() { printf '\n== %s\n' "$*"; }

if [ -z "${BASE:-}" ] && ! podman image exists "$base"; then
    say "a stand-in for the base image"
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
        "${SUITE:-trixie}" "$scratch/root" >"$scratch/debootstrap.log"
    rm -rf "$scratch"/root/var/cache/apt/* "$scratch"/root/var/lib/apt/lists/*
    tar --directory "$scratch/root" --create . | podman import --quiet - "$base"
fi

say "build $target on $base"
options=(--format docker --layers --network host --build-arg "BASE=$base" --file deploy/Dockerfile --target "$target" --tag "$image")
[ -z "${PIP_CONF:-}" ] || options+=(--secret "id=pip,src=$PIP_CONF")
[ -z "${CA_BUNDLE:-}" ] || options+=(--volume "$CA_BUNDLE:/etc/ssl/certs/ca-certificates.crt:ro")
buildah build "${options[@]}" . >"$scratch/build.log" 2>&1 || { tail -n 40 "$scratch/build.log"; exit 1; }
podman image inspect "$image" --format '{{.Size}}' | awk '{printf "%.0f MB unpacked\n", $1 / 1e6}'
podman save "$image" | gzip -1 | wc -c | awk '{printf "%.0f MB packed\n", $1 / 1e6}'

# Confined as by compose. The limits fit a shell with low limits. No timer runs health checks here.
confined=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --ulimit nofile=4096:4096 --ulimit nproc=4096:4096
    --health-interval disable)

say "without a network: it is healthy, and speaks"
podman run --detach --name "$container" --network none "${confined[@]}" "$image" >/dev/null
for _ in {1..120}; do if podman healthcheck run "$container" >/dev/null 2>&1; then break; fi; sleep 1; done
podman healthcheck run "$container" && echo "health command: 0"
podman exec "$container" vivavoce say "Hello from inside." --output /tmp/inside.wav
podman exec "$container" sh -c 'id; grep CapEff /proc/self/status; ! touch /probe'
podman rm --force --time 60 "$container" >/dev/null

say "over HTTP: every endpoint"
podman run --detach --name "$container" --publish "127.0.0.1:$port:8000" "${confined[@]}" "$image" >/dev/null
python3 scripts/test_api.py "http://127.0.0.1:$port" --until-ready 300
python3 scripts/test_api.py "http://127.0.0.1:$port"
if [ -n "${WHISPER:-}" ]; then
    say "over HTTP: what Whisper hears"
    cat >"$scratch/sentences.toml" <<'END'
[en]
plain = [
    "The old bridge across the river was closed for repairs last winter.",
    "She opened the window because the room had become too warm.",
    "Please bring the red umbrella that stands behind the kitchen door.",
    "Our train leaves early in the morning, so we should sleep now.",
]
numbers = ["The shop sold 42 bicycles in 3 days.", "The meeting is on March 5 at half past nine."]
END
    $WHISPER benchmarks/intelligibility.py --server "http://127.0.0.1:$port" --languages en --models hibari,kokoro \
        --sentences "$scratch/sentences.toml" --json >"$scratch/heard.json"
    python3 - "$scratch/heard.json" <<'END'
import json, sys
scores = json.load(open(sys.argv[1]))["scores"]
print(*(f"{one['model']}: {one['all']:.1f} % of the words heard wrongly" for one in scores), sep="\n")
sys.exit(not scores or max(one["all"] for one in scores) > 10)
END
fi

say "SIGTERM while it speaks: the request is finished, then it stops"
body='{"text": "'$(printf 'One sentence after the other. %.0s' {1..200})'", "model": "hibari"}'
curl --silent --fail --show-error "http://127.0.0.1:$port/v1/tts/synthesize" -H 'content-type: application/json' -d "$body" \
    --output "$scratch/long.wav" &
asking=$!
sleep 2
podman kill --signal TERM "$container" >/dev/null
wait "$asking"
echo "the answer was whole: $(stat --format %s "$scratch/long.wav") bytes"
podman wait "$container" | grep -xE '0|143'
podman logs "$container" 2>&1 | tail -n 5 | grep 'Application shutdown complete'
say "all right"
