#!/usr/bin/env bash
# A worker of curl and jq: worker.sh http://localhost:8080
set -uo pipefail
service="$1/orchy.v1.WorkerService" stopping='' registered='' waiting='' results='[]'
post=(curl -sS --fail-with-body -H 'content-type: application/json' --data-binary @-)
stop() {
  stopping=1
  [ ! "$waiting" ] || kill "$waiting" 2>/dev/null
}
trap stop TERM INT

rules='{"actions": [
  {"name": "greet", "retryCount": 1, "retryAfterSeconds": 0.1}, {"name": "charge"}, {"name": "count"}]}'
poll='{"actions": ["greet", "charge", "count"], "maxTasks": 10, "waitSeconds": 20, "leaseSeconds": 60,
  "workerId": "curl"}'

# Sets output or failure of an action; fails when it was interrupted.
act() {
  output='' failure=''
  case $1 in
    greet)
      output=$(jq -e 'if .name then "Hello, \(.name)!" else null end' <<<"$2") ||
        failure='{"code": "NO_NAME", "message": "There is nobody to greet."}' ;;
    charge)
      output=$(jq -e 'if .amount <= 1000 then {charged: .amount} else null end' <<<"$2") ||
        failure='{"code": "CARD_DECLINED", "message": "Not covered.", "retryable": false}' ;;
    count)
      output=$(jq .seconds <<<"$2")
      sleep "$output" & waiting=$!
      [ ! "$stopping" ] || kill "$waiting"
      wait "$waiting" ;;
  esac
}

folder=$(mktemp -d)
until [ "$stopping" ]; do
  if [ ! "$registered" ]; then
    "${post[@]}" "$service/RegisterActions" <<<"$rules" >/dev/null && registered=1
  fi
  # In the background, as a shell hears signals only while it waits.
  "${post[@]}" "$service/Poll" <<<"$(jq ".results = $results" <<<"$poll")" >"$folder/answer" &
  waiting=$!
  wait "$waiting"
  # A signal ends the first wait; a poll that was answered all the same has tasks to give back.
  if ! wait "$waiting"; then
    [ "$stopping" ] || sleep 0.5 # The results are still here; sent twice, they count once.
    continue
  fi
  results='[]'
  while read -r task; do
    token=$(jq .token <<<"$task") parameters=$(jq .parameters <<<"$task")
    action=$(jq -r .action <<<"$task")
    echo "$action, attempt $(jq .attempt <<<"$task")"
    if [ "$stopping" ] || ! act "$action" "$parameters"; then
      "${post[@]}" "$service/Release" <<<"{\"tokens\": [$token]}" >/dev/null
    elif [ "$failure" ]; then
      results=$(jq ". + [{token: $token, failure: $failure}]" <<<"$results")
    else
      results=$(jq ". + [{token: $token, output: $output}]" <<<"$results")
    fi
  done < <(jq -c '.tasks[]?' "$folder/answer")
done
rm -r "$folder"
"${post[@]}" "$service/Complete" <<<"{\"results\": $results}" >/dev/null
