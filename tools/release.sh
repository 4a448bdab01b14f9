#!/usr/bin/env bash
# Publish every package whose version is not out, with provenance: .github/workflows/release.yml does it. The registry takes a
# statement of provenance only for a package that names the repository of the workflow, so that is put in here, where it is known.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${GITHUB_SERVER_URL:?is set in a workflow of GitHub, where releases are made}" "${GITHUB_REPOSITORY:?}"
for folder in packages/*; do
  (cd "$folder" && npm pkg set repository.type=git "repository.directory=$folder" \
    "repository.url=git+$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git")
done
NPM_CONFIG_PROVENANCE=true pnpm changeset publish
