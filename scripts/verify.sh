#!/usr/bin/env bash
# Verifies vivavoce end to end on this host: builds the images, starts them, speaks inside and from outside, stops them.
#
#   scripts/verify.sh               with Docker on an NVIDIA GPU: compose.yaml
#   scripts/verify.sh --cpu         with Docker, without a GPU: compose.cpu.yaml
#   scripts/verify.sh --no-docker   the same against processes of this machine, as continuous integration does
#
# Audio and logs are kept in a folder that it names. It stops what it started, keeps images and volume, and touches nothing else.
# Exit code 0 if everything passed. SERVER_PORT and UI_PORT are the ports, PYTHON and VIVAVOCE
# the commands of --no-docker.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=gpu
case "${1:-}" in
    "") ;;
    --cpu) mode=cpu ;;
    --no-docker) mode=process ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

python=${PYTHON:-python3}
folder=$(mktemp -d -t vivavoce-verify.XXXXXX)
export SERVER_PORT=${SERVER_PORT:-8000} UI_PORT=${UI_PORT:-8501}
passed=0 failed=() started=""
if [ $mode = gpu ]; then compose=(docker compose); else compose=(docker compose --file compose.cpu.yaml); fi
read -ra vivavoce <<<"${VIVAVOCE:-$([ -x .venv/bin/vivavoce ] && echo .venv/bin/vivavoce || echo vivavoce)}"

# --- one step: its name, then a command whose output is shown only if it fails -------------------------------------------

step() {
    local name=$1 log="$folder/$((passed + ${#failed[@]} + 1)).log" begin=$SECONDS
    shift
    printf '%-44s' "$name"
    if ("$@") >"$log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %3d s\n' $((SECONDS - begin))
    else
        failed+=("$name")
        printf 'FAIL  %3d s\n' $((SECONDS - begin))
        tail -n 30 "$log" | sed 's/^/    /'
        return 1
    fi
}

gigabytes() { # least, what there is in KiB, of what
    echo "$(($2 / 1000000)) GB of $3, at least $1 are needed"
    [ "$2" -ge $(($1 * 1000000)) ]
}

memory() { gigabytes "$1" "$(awk '/^MemTotal/ {print $2}' /proc/meminfo)" memory; }
disk() { gigabytes "$2" "$(df -k --output=avail "$1" | tail -n 1)" "disk at $1"; }
free_port() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || { echo "port $1 is taken: stop what listens there, or set another"; return 1; }; }
retry() { for _ in {1..60}; do if "$@"; then return; fi; sleep 0.5; done; return 1; }
page() { $python -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read()[:200])' "$1"; }
api() { $python scripts/test_api.py "http://localhost:$SERVER_PORT" "$@"; }

# Whether a file is a WAV file in which something is heard.
audible() {
    $python - "$1" <<'PY'
import array, sys, wave
with wave.open(sys.argv[1]) as audio:
    samples = array.array("h", audio.readframes(audio.getnframes()))
    seconds, loudest = len(samples) / audio.getframerate(), max(map(abs, samples), default=0)
print(f"{seconds:.2f} s, peak {loudest}")
sys.exit(not (0.5 < seconds < 30 and loudest > 1000))
PY
}

await() { # seconds; shows what it waits for
    echo "waiting for the server, $1 s at most"
    if api --until-ready "$1"; then passed=$((passed + 1)); else failed+=("ready in $1 s"); return 1; fi
}

# --- with Docker -------------------------------------------------------------------------------------------------

docker_is_there() { docker info >/dev/null && docker compose version; }
toolkit_is_there() { docker info --format '{{json .Runtimes}} {{json .CDISpecDirs}}' | grep nvidia || nvidia-ctk --version; }
nothing_runs() { [ -z "$("${compose[@]}" ps --quiet)" ] || { echo "it runs already: ${compose[*]} down, or scripts/test_api.py alone"; return 1; }; }
inside() { "${compose[@]}" exec -T qwen3-tts-server "$@"; }

speaks_inside() { # arguments of `vivavoce say`
    inside vivavoce say "Hello from inside." "$@" --output /tmp/inside.wav
    inside cat /tmp/inside.wav >"$folder/inside.wav" && audible "$folder/inside.wav"
}

is_confined() {
    # shellcheck disable=SC2016 # expanded in there
    inside sh -c '[ "$(id -u)" = 10001 ] && grep -q "^CapEff:[[:space:]]*0*$" /proc/self/status && ! touch /probe 2>/dev/null'
}

stops_cleanly() { # docker stop sends SIGTERM
    local id
    id=$("${compose[@]}" ps --quiet qwen3-tts-server)
    "${compose[@]}" stop
    docker inspect --format '{{.State.ExitCode}}' "$id" | grep -x 0
    docker logs --tail 5 "$id" 2>&1 | grep 'Application shutdown complete'
}

with_docker() {
    step "docker and compose" docker_is_there
    step "nothing of it runs yet" nothing_runs
    step "port $SERVER_PORT is free" free_port "$SERVER_PORT"
    step "port $UI_PORT is free" free_port "$UI_PORT"
    if [ $mode = gpu ]; then
        step "a GPU" nvidia-smi
        step "NVIDIA container toolkit" toolkit_is_there
        step "memory" memory 16
        step "disk" disk "$(docker info --format '{{.DockerRootDir}}')" 40
    else
        step "memory" memory 3
        step "disk" disk "$(docker info --format '{{.DockerRootDir}}')" 8
    fi
    step "build" "${compose[@]}" build
    started=yes
    step "start the server" "${compose[@]}" up --detach --no-build qwen3-tts-server
    if [ $mode = gpu ]; then await 3600; else await 300; fi
    step "user, rights, read-only" is_confined
    if [ $mode = gpu ]; then
        step "torch sees the GPU" inside python3 -c 'import torch; print(torch.cuda.get_device_name())'
        local qwen=${VIVAVOCE_QWEN:-Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice} name
        name=${qwen%%@*} name=${name##*/}
        step "Qwen3-TTS, every endpoint, from outside" api --timeout 600 --save "$folder/qwen" --model "${name,,}"
        step "Qwen3-TTS speaks inside" speaks_inside --model "$qwen"
    else
        step "speaks inside" speaks_inside
    fi
    step "every endpoint, from outside" api --save "$folder/audio"
    step "start the page" "${compose[@]}" up --detach --no-build --wait streamlit-ui
    step "the page answers" page "http://localhost:$UI_PORT/_stcore/health"
    step "stops cleanly" stops_cleanly
}

# --- without -----------------------------------------------------------------------------------------------------

speaks_alone() { "${vivavoce[@]}" say "Hello from inside." --output "$folder/inside.wav" && audible "$folder/inside.wav"; }

start() { # log, then arguments of `vivavoce`; its process is then $!
    local log="$folder/$1.log"
    shift
    "${vivavoce[@]}" "$@" --host 127.0.0.1 >"$log" 2>&1 &
    started="$started $!"
}

stopped_cleanly() { # a process's exit code
    echo "exit code $1"
    [ "$1" = 0 ] && grep 'Application shutdown complete' "$folder/server.log"
}

with_processes() {
    step "vivavoce" "${vivavoce[@]}" --version
    step "memory" memory 3
    step "port $SERVER_PORT is free" free_port "$SERVER_PORT"
    start server serve --port "$SERVER_PORT"
    local server=$! ending=0
    await 300
    step "speaks without the server" speaks_alone
    step "every endpoint" api --save "$folder/audio"
    if $python -c 'import streamlit' 2>/dev/null; then
        step "port $UI_PORT is free" free_port "$UI_PORT"
        start ui ui --port "$UI_PORT" --server "http://localhost:$SERVER_PORT"
        step "the page answers" retry page "http://localhost:$UI_PORT/_stcore/health"
    else
        echo "the page is left out: pip install 'vivavoce[ui]'"
    fi
    kill -TERM "$server"
    step "stops in time" timeout 60 tail --pid="$server" --follow /dev/null
    wait "$server" || ending=$?
    step "stopped cleanly" stopped_cleanly $ending
}

# --- all of it ---------------------------------------------------------------------------------------------------

finish() {
    local code=$?
    if [ $mode = process ]; then
        # shellcheck disable=SC2086 # process ids, separated by spaces
        [ -z "$started" ] || kill $started 2>/dev/null || true
        [ ${#failed[@]} = 0 ] || tail -n 50 "$folder"/server.log "$folder"/ui.log 2>/dev/null || true
    elif [ -n "$started" ]; then
        [ ${#failed[@]} = 0 ] || "${compose[@]}" logs --tail 100 || true
        "${compose[@]}" down || code=1
    fi
    echo
    echo "$passed passed, ${#failed[@]} failed${failed:+: ${failed[*]}}; audio and logs are in $folder"
    [ ${#failed[@]} = 0 ] || code=1
    exit $code
}
trap finish EXIT

if [ $mode = process ]; then with_processes; else with_docker; fi
