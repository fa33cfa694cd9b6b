#!/usr/bin/env bash
# Runs before a push is taken, in the repository that it is for. Refuses what would
# make that larger than it may be, packed or unpacked, or the folders of its tenant
# more than there may be, and a main that the guard has not passed. What was pushed
# lies below objects/ by then and goes if this fails.
set -euo pipefail

limits=${FORGE_LIMITS:-/etc/forge/limits/limits}
# Part of the script, not of what is read at a push: it is there from the first one.
guard=@PASSED_URL@
authority=${FORGE_AUTHORITY:-/etc/forge/authority/ca.crt}
administrator=@ADMIN@
repository=$(basename "$PWD" .git)
none='^0+$'
# Far more than people write: trees that refer to each other may hold any number.
files=10000

refuse() {
  printf '%s\n' "$*" >&2
  exit 1
}

# What is only deleted makes nothing larger.
pushed=()
before=
after=
odd=
while read -r old new ref; do
  # Branches and tags are the forge's to protect, what is for review becomes none.
  [[ $ref == refs/heads/* || $ref == refs/tags/* || $ref == refs/for/* ]] || odd=$ref
  [[ $new =~ $none ]] && continue
  pushed+=("$new")
  if [[ $ref == refs/heads/main ]]; then
    before=$old after=$new
  fi
done
[[ -z $odd || ${GITEA_PUSHER_NAME:-nobody} == "$administrator" ]] || refuse "nobody pushes to $odd"
((${#pushed[@]} > 0)) || exit 0

# folders COMMIT [GIT...]: prints how many folders of endpoints there are in a commit.
# A submodule becomes a folder, too; an empty repository has none.
folders() {
  local commit=$1
  shift
  "${@:-git}" ls-tree "$commit" -- "$folder/" 2>/dev/null | grep -cv ' blob ' || true
}

# elsewhere NAME: prints how many there are in another repository.
elsewhere() {
  folders main env -u GIT_DIR -u GIT_OBJECT_DIRECTORY -u GIT_ALTERNATE_OBJECT_DIRECTORIES -u GIT_QUARANTINE_PATH \
    git "--git-dir=../$1.git"
}

# unpacked KIBIBYTES: refuses what somebody who fetches the push, or checks main out,
# would have to hold.
unpacked() {
  local most=$(($1 * 1024)) bytes=0 count=0 size
  while read -r size; do
    bytes=$((bytes + size))
    ((bytes <= most)) || refuse "this push unpacks to more than $(($1 / 1024)) MiB: leave large files out, or have neuroscale:forge.maxRepository raised"
  done < <(git rev-list --objects --no-object-names "${pushed[@]}" --not --all | git cat-file --batch-check='%(objectsize)')
  [[ -n $after ]] || return 0
  bytes=0
  while read -r _ _ _ size _; do
    count=$((count + 1))
    [[ $size == - ]] || bytes=$((bytes + size))
    ((count <= files && bytes <= most)) || refuse "with this push main of $repository has more than $files files or $(($1 / 1024)) MiB: leave some out"
  done < <(git ls-tree -r -l "$after")
}

# judged: refuses a main that the guard has not passed, file by file, whatever the
# forge shows: whoever may merge may also set a status there.
judged() {
  local tree code
  tree=$(git ls-tree -r -z "$after" | sha256sum | cut -d ' ' -f 1)
  code=$(curl --silent --max-time 30 --cacert "$authority" --output /dev/null --write-out '%{http_code}' --get \
    --data-urlencode "repository=$repository" --data-urlencode "tree=$tree" "$guard" || true)
  case $code in
  200) ;;
  403) refuse "the guard has not passed what main of $repository would be: wait for its status, or begin from main as it is and push for review again" ;;
  *) refuse "the guard does not answer ($code), and without it nothing is merged: try again" ;;
  esac
}

folder=
while read -r what value names; do
  case $what in
  # Only the program writes there, and adds to it for as long as there is a platform.
  unlimited) [[ $PWD == */"$value".git ]] && exit 0 ;;
  folder) folder=$value ;;
  kibibytes)
    size=$(du -sk . | cut -f1)
    ((size <= value)) || refuse "with this push the repository $repository takes $((size / 1024)) MiB, of at most $((value / 1024)):" \
      "leave large files out, or have neuroscale:forge.maxRepository raised"
    unpacked "$value"
    ;;
  folders)
    [[ -n $after && " $names " == *" $repository "* ]] || continue
    mine=$(folders "$after")
    total=$mine was=0
    [[ $before =~ $none ]] || was=$(folders "$before")
    for name in $names; do
      [[ $name == "$repository" ]] || total=$((total + $(elsewhere "$name")))
    done
    ((total <= value || mine <= was)) || refuse "with this push the tenant of $repository has $total folders in $folder/, of at most $value:" \
      "remove some, or have neuroscale:tenants[].quota.applications raised"
    ;;
  esac
done <"$limits"
[[ -z $after || ${GITEA_PUSHER_NAME:-nobody} == "$administrator" ]] || judged
