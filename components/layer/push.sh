#!/usr/bin/env bash
# Pushes the rendered tree in $TREE to $REPOSITORY as the tag $TAG. The tag is the
# tree's hash: if it is there, there is nothing to do, and if it is something else
# than that tree, it becomes the tree. Argo CD waits for $COMMIT: another one would
# keep it waiting.
set -euo pipefail
. "$(dirname -- "$0")/git.sh"

commit_tree "$MESSAGE"
commit=$(git rev-parse HEAD)
if [[ $commit != "$COMMIT" ]]; then
  echo "the tree is the commit $commit, but the program computed $COMMIT: use the image of this version" >&2
  exit 1
fi
there=$(remote "refs/tags/$TAG")
if [[ $there == "$commit" ]]; then
  echo "$TAG is there: $commit"
  exit 0
fi
git push --quiet --force "$REPOSITORY" "HEAD:refs/tags/$TAG"
echo "$TAG pushed: $commit"
