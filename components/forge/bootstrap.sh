#!/usr/bin/env bash
# Makes the organization, its repositories, the accounts and the webhooks be as
# described. Every step looks first, so it can run any number of times; a repository
# that is no longer described stays as it is. Passwords go from files to files.
set -euo pipefail

work=$WORK/bootstrap
umask 077
# No password stays behind, nor one that a killed run has left.
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
mkdir -p "$work"
secret() { printf '%s' "$(<"$ACCOUNTS/$1")"; }
printf 'user = "%s:%s"\n' "$ADMIN" "$(secret "$ADMIN")" >"$work/auth"

# api METHOD PATH [BODY]: prints the status, leaves the answer in $work/answer.
api() {
  local body=()
  if (($# > 2)); then
    printf '%s' "$3" >"$work/body"
    body=(--header 'Content-Type: application/json' --data "@$work/body")
  fi
  curl --silent --show-error --max-time 20 --config "$work/auth" --request "$1" \
    --output "$work/answer" --write-out '%{http_code}' "${body[@]}" "$FORGE_URL/api/v1$2"
}

# must WHAT STATUS... -- METHOD PATH [BODY]: fails unless the status is expected.
must() {
  local what=$1 wanted=() got
  shift
  while [[ $1 != -- ]]; do
    wanted+=("$1")
    shift
  done
  shift
  got=$(api "$@")
  if [[ " ${wanted[*]} " != *" $got "* ]]; then
    printf '%s: %s %s answered %s: %s\n' "$what" "$1" "$2" "$got" "$(<"$work/answer")" >&2
    exit 1
  fi
  printf '%s: %s\n' "$what" "$got"
}

exists() { [[ $(api GET "$1") == 200 ]]; }

# numbered TEXT: prints the number of the first in the answer, a list, with TEXT.
numbered() {
  sed 's/{"id":/\n&/g' "$work/answer" | grep -F -- "$1" | sed -n 's/^{"id":\([0-9]*\).*/\1/p' | head -n 1 || true
}

# described WHAT LIST TEXT MORE BODY: in a list of the API, what has TEXT in it is
# changed to be as BODY says; if there is none, it is made with MORE to say.
described() {
  local what=$1 list=$2 text=$3 more=$4 body=$5 number
  must "looking for $what" 200 -- GET "$list"
  number=$(numbered "$text")
  if [[ -n $number ]]; then
    must "$what" 200 -- PATCH "$list/$number" "{$body}"
  else
    must "$what" 201 -- POST "$list" "{$more$body}"
  fi
}

curl --silent --show-error --fail --output /dev/null \
  --retry 60 --retry-delay 1 --retry-max-time 90 --retry-all-errors "$FORGE_URL/api/healthz"

if ! exists "/orgs/$ORGANIZATION"; then
  must "organization $ORGANIZATION" 201 -- POST /orgs \
    "{\"username\":\"$ORGANIZATION\",\"visibility\":\"private\"}"
fi

for user in "$READER" "$WRITER"; do
  if exists "/users/$user"; then
    must "account $user" 200 -- PATCH "/admin/users/$user" \
      "{\"source_id\":0,\"login_name\":\"$user\",\"password\":\"$(secret "$user")\",\"must_change_password\":false}"
  else
    must "account $user" 201 -- POST /admin/users \
      "{\"username\":\"$user\",\"email\":\"$user@forge.invalid\",\"password\":\"$(secret "$user")\",\"must_change_password\":false,\"restricted\":true}"
  fi
done

read -ra endpoints <<<"$REPOSITORIES"
for repository in "$PLATFORM" "${endpoints[@]}"; do
  if ! exists "/repos/$ORGANIZATION/$repository"; then
    must "repository $repository" 201 -- POST "/orgs/$ORGANIZATION/repos" \
      "{\"name\":\"$repository\",\"private\":true,\"default_branch\":\"main\",\"auto_init\":false}"
  fi
  must "$READER reads $repository" 204 -- PUT "/repos/$ORGANIZATION/$repository/collaborators/$READER" \
    '{"permission":"read"}'
done
must "$WRITER writes $PLATFORM" 204 -- PUT "/repos/$ORGANIZATION/$PLATFORM/collaborators/$WRITER" \
  '{"permission":"write"}'

# What a layer's tag names is applied with all rights: even the administrator has to
# lift this first.
described "only $WRITER makes tags layer/* of $PLATFORM" "/repos/$ORGANIZATION/$PLATFORM/tag_protections" \
  '"name_pattern":"layer/*"' '' "\"name_pattern\":\"layer/*\",\"whitelist_usernames\":[\"$WRITER\"]"

settings="\"active\":true,\"events\":[\"push\"],\"config\":{\"url\":\"$WEBHOOK_URL\",\"content_type\":\"json\",\"secret\":\"$(secret webhook)\"}"
for repository in "${endpoints[@]}"; do
  described "webhook $WEBHOOK_URL of $repository" "/repos/$ORGANIZATION/$repository/hooks" \
    "\"$WEBHOOK_URL\"" '"type":"gitea",' "$settings"
done
