#!/usr/bin/env bash
# Makes what people sign in to with their account in the forge known to it, and puts
# its name and secret into a Secret of the cluster. The forge makes both up and tells
# the secret once: while the Secret has it and all is as described, nothing is done.
# Secrets go from files to files.
set -euo pipefail

work=$WORK/client
umask 077
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
mkdir -p "$work"
printf 'user = "%s:%s"\n' "$ADMIN" "$(<"$ACCOUNTS/$ADMIN")" >"$work/auth"
printf 'header = "Authorization: Bearer %s"\n' "$(<"$ACCOUNT/token")" >"$work/token"

# ask WHAT CONFIG STATUS METHOD URL [OPTION...]: fails unless the status is expected;
# leaves the answer in $work/answer.
ask() {
  local what=$1 config=$2 wanted=$3 got
  got=$(curl --silent --show-error --max-time 20 --config "$config" --output "$work/answer" --write-out '%{http_code}' \
    --request "$4" "$5" "${@:6}")
  [[ $got == "$wanted" ]] && return
  # What the forge says of a client has its secret in it.
  printf '%s: answered %s instead of %s\n' "$what" "$got" "$wanted" >&2
  exit 1
}

# field NAME: prints a text of the answer.
field() { grep -o "\"$1\": *\"[^\"]*\"" "$work/answer" | head -n 1 | cut -d '"' -f 4 || true; }

secret=https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/$NAMESPACE/secrets/$SECRET
ask "reading Secret $NAMESPACE/$SECRET" "$work/token" 200 GET "$secret" --cacert "$ACCOUNT/ca.crt"
known=$(field id | base64 -d)
uris=$(field redirectUris | base64 -d)

applications=$FORGE_URL/api/v1/user/applications/oauth2
ask 'looking for the client' "$work/auth" 200 GET "$applications?limit=50"
mine=$(sed 's/{"id":/\n&/g' "$work/answer" | grep -F -- "\"name\":\"$NAME\"" | head -n 1 || true)
number=$(sed -n 's/^{"id":\([0-9]*\).*/\1/p' <<<"$mine")
if [[ -n $known && $mine == *"\"client_id\":\"$known\""* && $uris == "$REDIRECT_URIS" ]]; then
  printf 'client %s is as described\n' "$NAME"
  exit 0
fi

list=
for uri in $REDIRECT_URIS; do list+="${list:+,}\"$uri\""; done
# Whoever gave such a program leave once is asked again: any other could say it is it.
printf '{"name":"%s","redirect_uris":[%s],"confidential_client":%s,"skip_secondary_authorization":%s}' \
  "$NAME" "$list" "$CONFIDENTIAL" "$CONFIDENTIAL" >"$work/body"
if [[ -n $number ]]; then
  ask "client $NAME" "$work/auth" 200 PATCH "$applications/$number" --header 'Content-Type: application/json' --data "@$work/body"
else
  ask "client $NAME" "$work/auth" 201 POST "$applications" --header 'Content-Type: application/json' --data "@$work/body"
fi
encoded() { printf '%s' "$1" | base64 -w 0; }
printf '{"data":{"id":"%s","secret":"%s","redirectUris":"%s"}}' "$(encoded "$(field client_id)")" \
  "$(encoded "$(field client_secret)")" "$(encoded "$REDIRECT_URIS")" >"$work/patch"
ask "writing Secret $NAMESPACE/$SECRET" "$work/token" 200 PATCH "$secret?fieldManager=forge" --cacert "$ACCOUNT/ca.crt" \
  --header 'Content-Type: application/merge-patch+json' --data "@$work/patch"
printf 'client %s is known to the forge\n' "$NAME"
