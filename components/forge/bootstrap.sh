#!/usr/bin/env bash
# Makes the organization, its repositories, the accounts, the teams and the webhooks be
# as described. Every step looks first, so it can run any number of times. A repository
# that is no longer described stays as it is, and so does what an account wrote that is
# nobody's any more. Passwords go from files to files.
set -euo pipefail

work=$WORK/bootstrap
# The login_name by which members' accounts are told from those of others.
member=tenant-member
umask 077
# No password stays behind, nor one that a killed run has left.
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
mkdir -p "$work"
secret() { printf '%s' "$(<"$1")"; }
printf 'user = "%s:%s"\n' "$ADMIN" "$(secret "$ACCOUNTS/$ADMIN")" >"$work/auth"

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

# numbered TEXT [FILE]: prints the number of the first with TEXT in the answer, or in
# another list.
numbered() {
  sed 's/{"id":/\n&/g' "${2:-$work/answer}" | grep -F -- "$1" | sed -n 's/^{"id":\([0-9]*\).*/\1/p' | head -n 1 || true
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

# all PATH [PARAMETERS]: leaves every page of a list of the API in $work/list.
all() {
  local page=1
  : >"$work/list"
  while must "looking at $1" 200 -- GET "$1?limit=50&page=$page${2:-}" && [[ $(<"$work/answer") == '[{'* ]]; do
    cat "$work/answer" >>"$work/list"
    page=$((page + 1))
  done
}

# values FIELD [PREFIX]: prints the texts in that field of $work/list, one a line.
values() { grep -o "\"$1\":\"${2:-}[^\"]*\"" "$work/list" | cut -d '"' -f 4 || true; }

# has LIST WORD: whether the word is in a list with spaces or line ends between words.
has() { [[ " ${1//$'\n'/ } " == *" $2 "* ]]; }

# account USER FILE NAMED MORE: makes an account with the password in the file, or
# gives it that, with MORE to say. NAMED is its login_name, which Gitea makes no use of
# and only an administrator can change.
account() {
  local user=$1 settings
  settings="\"source_id\":0,\"login_name\":\"$3\",\"password\":\"$(secret "$2")\",\"must_change_password\":false"
  if exists "/users/$user"; then
    must "account $user" 200 -- PATCH "/admin/users/$user" "{$settings$4}"
  else
    # Nobody has taken an address before that nobody can guess.
    must "account $user" 201 -- POST /admin/users \
      "{\"username\":\"$user\",\"email\":\"$user-$RANDOM$RANDOM@forge.invalid\",\"restricted\":true,$settings}"
  fi
}

# exactly LIST FIELD PREFIX WANTED: what is in a team's list becomes what is wanted.
exactly() {
  local list=$1 wanted=$4 there each
  all "$list"
  there=$(values "$2" "$3")
  for each in $wanted; do
    has "$there" "$each" || must "$each into $list" 204 -- PUT "$list/$each"
  done
  for each in $there; do
    has "$wanted" "$each" || must "$each out of $list" 204 -- DELETE "$list/$each"
  done
}

# team NAME CODE REPOSITORIES MEMBERS: makes a team in which exactly these propose and
# comment there, and read the code or write it. Who writes pull requests changes what
# others said there: so nobody does.
team() {
  local name=$1 number settings
  settings="\"permission\":\"read\",\"units_map\":{\"repo.code\":\"$2\",\"repo.pulls\":\"read\",\"repo.issues\":\"read\"},"
  shift
  settings+='"includes_all_repositories":false,"can_create_org_repo":false'
  number=$(numbered "\"name\":\"$name\"" "$work/teams")
  if [[ -n $number ]]; then
    must "team $name" 200 -- PATCH "/teams/$number" "{\"name\":\"$name\",$settings}"
  else
    must "team $name" 201 -- POST "/orgs/$ORGANIZATION/teams" "{\"name\":\"$name\",$settings}"
    number=$(numbered "\"name\":\"$name\"")
  fi
  exactly "/teams/$number/repos" full_name "$ORGANIZATION/" "$2"
  exactly "/teams/$number/members" login '' "$3"
}

# protect REPOSITORY TEAM APPROVALS: main of a repository is what the guard has passed
# and a team has merged, with approvals of that team. Administrators are not excepted.
# They can push, though: the first content, and what has to be when there is no guard.
# There is no other branch and no tag: the forge lets nobody merge who may not write,
# and merging is all that they are to do.
protect() {
  local at=/repos/$1/branch_protections settings others
  settings="\"enable_push\":true,\"enable_push_whitelist\":true,\"push_whitelist_usernames\":[\"$ADMIN\"],\"push_whitelist_deploy_keys\":false,"
  settings+='"enable_force_push":false,"enable_merge_whitelist":true,"merge_whitelist_usernames":[],'
  settings+="\"merge_whitelist_teams\":[\"$2\"],\"enable_status_check\":true,\"status_check_contexts\":[\"$GUARD_CONTEXT\"],"
  settings+="\"required_approvals\":$3,\"enable_approvals_whitelist\":true,\"approvals_whitelist_username\":[],\"approvals_whitelist_teams\":[\"$2\"],"
  settings+='"dismiss_stale_approvals":true,"block_on_rejected_reviews":true,"block_admin_merge_override":true'
  if exists "$at/main"; then
    must "main of $1 is protected" 200 -- PATCH "$at/main" "{$settings}"
  else
    must "main of $1 is protected" 201 -- POST "$at" "{\"rule_name\":\"main\",$settings}"
  fi
  # After main's, which comes first then.
  others='"rule_name":"**","enable_push":false,"enable_force_push":false,"block_admin_merge_override":true'
  if exists "$at/%2A%2A"; then
    must "nobody makes branches of $1" 200 -- PATCH "$at/%2A%2A" "{$others}"
  else
    must "nobody makes branches of $1" 201 -- POST "$at" "{$others}"
  fi
  described "only $ADMIN makes tags of $1" "/repos/$1/tag_protections" '"name_pattern":"*"' '' \
    "\"name_pattern\":\"*\",\"whitelist_usernames\":[\"$ADMIN\"],\"whitelist_teams\":[]"
}

# hook REPOSITORY URL EVENTS FILE: a repository tells a URL of events, signed with the
# secret in the file.
hook() {
  described "webhook $2 of $1" "/repos/$ORGANIZATION/$1/hooks" "\"$2\"" '"type":"gitea",' \
    "\"active\":true,\"events\":[$3],\"config\":{\"url\":\"$2\",\"content_type\":\"json\",\"secret\":\"$(secret "$4")\"}"
}

curl --silent --show-error --fail --output /dev/null \
  --retry 60 --retry-delay 1 --retry-max-time 90 --retry-all-errors "$FORGE_URL/api/healthz"

if ! exists "/orgs/$ORGANIZATION"; then
  must "organization $ORGANIZATION" 201 -- POST /orgs \
    "{\"username\":\"$ORGANIZATION\",\"visibility\":\"private\"}"
fi

for user in "$READER" "$WRITER" "$GUARD"; do
  account "$user" "$ACCOUNTS/$user" "$user" ''
done
for file in "$MEMBERS"/*; do
  [[ -f $file ]] || continue
  account "${file##*/}" "$file" "$member" ',"admin":false,"active":true,"restricted":true,"prohibit_login":false'
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

for repository in "${endpoints[@]}"; do
  hook "$repository" "$WEBHOOK_URL" '"push"' "$ACCOUNTS/webhook"
  hook "$repository" "$FOLLOWER_URL" '"push","pull_request_only"' "$ACCOUNTS/guard-hook"
  hook "$repository" "$GUARD_URL" '"push","pull_request_only","pull_request_sync","status"' "$ACCOUNTS/guard-hook"
  # Nobody else may write: it is what sets the status that main demands.
  must "$GUARD writes $repository" 204 -- PUT "/repos/$ORGANIZATION/$repository/collaborators/$GUARD" \
    '{"permission":"write"}'
done

all "/orgs/$ORGANIZATION/teams"
mv "$work/list" "$work/teams"
described=
while IFS='|' read -r name repositories members mergers approvals; do
  [[ -n $name ]] || continue
  team "$name" read "$repositories" "$members"
  team "$name$MERGERS" write "$repositories" "$mergers"
  described+=" $name $name$MERGERS"
  for repository in $repositories; do
    protect "$repository" "$name$MERGERS" "$approvals"
  done
done <<<"$TEAMS"

# What is no longer described writes nothing any more: a tenant's team is empty, and
# nobody signs in with an account that is in none.
cp "$work/teams" "$work/list"
for name in $(values name "$TEAM_PREFIX"); do
  has "$described" "$name" || team "$name" read '' ''
done
all /admin/users "&login_name=$member&is_prohibit_login=false"
for user in $(values login); do
  [[ -f $MEMBERS/$user ]] || must "nobody signs in as $user" 200 -- PATCH "/admin/users/$user" \
    "{\"source_id\":0,\"login_name\":\"$member\",\"prohibit_login\":true}"
done
