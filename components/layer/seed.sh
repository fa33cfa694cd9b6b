#!/usr/bin/env bash
# Gives $REPOSITORY its first content, the tree in $TREE, unless it has a main
# branch: what people merged stays.
set -euo pipefail
. "$(dirname -- "$0")/git.sh"

there=$(remote refs/heads/main)
if [[ -n $there ]]; then
  echo "main is there: $there"
  exit 0
fi
commit_tree "$MESSAGE"
git push --quiet "$REPOSITORY" HEAD:refs/heads/main
echo "main pushed: $(git rev-parse HEAD)"
