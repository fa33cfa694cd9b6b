#!/usr/bin/env bash
# Runs before the server: puts the limits of pushes into every repository, brings
# the database up to date and gives the administrator the password in the mounted file. Gitea's command line takes
# passwords as arguments only, which anybody on the host may read; its API does
# not, so a server that nobody else reaches yet is asked instead.
set -euo pipefail

gitea=/app/gitea/gitea
config=/etc/gitea/app.ini
work=$WORK/init
marker=$GITEA_WORK_DIR/.administrator
password=$(<"$ACCOUNTS/$ADMIN")
wanted=$(sha256sum <"$ACCOUNTS/$ADMIN")
server=

# The server has this folder, too: no password stays in it, nor one that a killed
# run has left.
umask 077
rm -rf "$work"
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT

# A new repository has the hook from git's template.
template=$GITEA_WORK_DIR/template
mkdir -p "$template/hooks"
for hooks in "$template"/hooks "$GITEA_WORK_DIR"/data/gitea-repositories/*/*.git/hooks; do
  [[ -d $hooks ]] || continue
  mkdir -p "$hooks/pre-receive.d"
  cp "$SCRIPTS/limits.sh" "$hooks/pre-receive.d/.limits"
  chmod 700 "$hooks/pre-receive.d/.limits"
  mv "$hooks/pre-receive.d/.limits" "$hooks/pre-receive.d/limits"
done

"$gitea" migrate --config "$config"
if [[ -f $marker && $(<"$marker") == "$wanted" ]]; then
  exit 0
fi

mkdir -p "$work"
if ! "$gitea" admin user list --admin --config "$config" | grep -qw -- "$ADMIN"; then
  "$gitea" admin user create --config "$config" --username "$ADMIN" \
    --email "$ADMIN@forge.invalid" --admin --must-change-password=false --random-password >/dev/null
fi
token_name=init-$(date +%s)-$RANDOM
token=$("$gitea" admin user generate-access-token --config "$config" --username "$ADMIN" \
  --token-name "$token_name" --scopes write:admin --raw | tail -n 1)

"$gitea" web --config "$config" >"$work/web.log" 2>&1 &
server=$!

printf 'header = "Authorization: token %s"\n' "$token" >"$work/token"
printf 'user = "%s:%s"\n' "$ADMIN" "$password" >"$work/basic"
printf '{"source_id":0,"login_name":"%s","password":"%s","must_change_password":false}' \
  "$ADMIN" "$password" >"$work/body"

url=http://127.0.0.1:3001
if ! curl --silent --show-error --fail --output /dev/null \
  --retry 60 --retry-delay 1 --retry-max-time 90 --retry-all-errors "$url/api/healthz"; then
  cat "$work/web.log" >&2
  exit 1
fi
curl --silent --show-error --fail --output /dev/null --config "$work/token" --request PATCH \
  --header 'Content-Type: application/json' --data "@$work/body" "$url/api/v1/admin/users/$ADMIN"
curl --silent --show-error --fail --output /dev/null --config "$work/basic" --request DELETE \
  "$url/api/v1/users/$ADMIN/tokens/$token_name"
kill "$server"
wait "$server" || true
server=
printf '%s\n' "$wanted" >"$marker"
