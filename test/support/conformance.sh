#!/usr/bin/env bash
# Installs conformance suites of the protocol beside the project, as they are no dependencies of ours: the official one
# with the Node.js that it needs, which is newer than ours, and MCPJam's with the client that it was written for.
set -euo pipefail
cache="$HOME/.cache/polycrate-mcp-test"

# Folder, package.json, packages.
put() {
  local folder="$1" manifest="$2"
  shift 2
  if [ -f "$folder/installed" ] && [ "$(cat "$folder/installed")" = "$manifest $*" ]; then return; fi
  rm -rf "$folder"
  mkdir -p "$folder"
  echo "$manifest" >"$folder/package.json"
  (cd "$folder" && npm install --no-audit --no-fund --ignore-scripts --loglevel=error "$@")
  echo "$manifest $*" >"$folder/installed"
}

node="node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')@22"
put "${POLYCRATE_MCP_TEST_CONFORMANCE:-$cache/conformance}" '{ "private": true }' \
  @modelcontextprotocol/conformance@0.2.0-alpha.12 "$node"
put "${POLYCRATE_MCP_TEST_MCPJAM:-$cache/mcpjam}" \
  '{ "private": true, "overrides": { "@modelcontextprotocol/client": "2.0.0-alpha.2" } }' @mcpjam/sdk@1.14.0
