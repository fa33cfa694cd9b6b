# What push.sh and seed.sh share. Author and dates are fixed, so that the same
# tree is the same commit.
scripts=$(dirname -- "${BASH_SOURCE[0]}")
export HOME=$WORK/home GIT_ASKPASS=$scripts/askpass.sh GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=NeuroScale GIT_AUTHOR_EMAIL=neuroscale@forge.invalid
export GIT_AUTHOR_DATE='2000-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
# Newer versions may make other names than the forge and the program know.
export GIT_DEFAULT_HASH=sha1
mkdir -p "$HOME"

# commit_tree MESSAGE: makes the tree in $TREE the only commit of a new repository
# in the current directory.
commit_tree() {
  rm -rf "$WORK/tree"
  mkdir -p "$WORK/tree"
  cd "$WORK/tree"
  tar -xzf "$TREE"
  git -c init.defaultBranch=main init --quiet
  git -c core.autocrlf=false add --all --force
  git -c commit.gpgSign=false commit --quiet --message "$1"
}

# remote REF: prints the commit REF of $REPOSITORY points at, or nothing. The
# forge is up, but the way to it may take a moment longer.
remote() {
  local answer deadline=$((SECONDS + 60))
  until answer=$(git ls-remote "$REPOSITORY" "$1"); do
    if ((SECONDS >= deadline)); then
      echo "$REPOSITORY cannot be read" >&2
      return 1
    fi
    sleep 1
  done
  printf '%s' "${answer%%[[:space:]]*}"
}
