# shellcheck shell=bash
# Which logs are kept, and where.

# A request log for each message costs more than all the rest: $280 a billion and more. Those that say that all went well are
# left out; what the function itself logs, and every failure, stays.
ANSWERED='resource.type="cloud_run_revision" AND resource.labels.service_name="NAME" AND log_id("run.googleapis.com/requests")'
ANSWERED+=' AND httpRequest.status<300'

leave_out_answered() {
  heading "pubsub_import: no log entry for each message that was taken"
  exclude "$MESSAGES-answered" "${ANSWERED/NAME/$MESSAGES}"
}

# The log of both functions in a bucket of the region, instead of in the project's, which is global.
keep_logs_here() {
  local both="resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"$FILES\" OR \"$MESSAGES\")"
  local bucket=logging.googleapis.com/projects/$PROJECT_ID/locations/$REGION/buckets/$NAME
  local filter="$both AND NOT (${ANSWERED/NAME/$MESSAGES})"
  heading "The log, kept in $REGION"
  existing logging buckets describe "$NAME" --location="$REGION" >/dev/null ||
    run logging buckets create "$NAME" --location="$REGION" --retention-days=30
  if existing logging sinks describe "$NAME" >/dev/null; then
    run logging sinks update "$NAME" "$bucket" --log-filter="$filter"
  else
    run logging sinks create "$NAME" "$bucket" --log-filter="$filter"
  fi
  exclude "$NAME-kept-elsewhere" "$both"
}

# Keeps what a filter lets through out of the project's own log bucket.
exclude() {
  local name=$1 filter=$2 found
  found=$(exclusions)$'\n'
  if [[ $found == *": $name"$'\n'* ]]; then
    if [[ $found != *": $filter"* ]]; then run logging sinks update _Default --update-exclusion="name=$name,filter=$filter"; fi
  else
    run logging sinks update _Default --add-exclusion="name=$name,filter=$filter"
  fi
}

exclusions() { ask '' logging sinks describe _Default --format='flattened[no-pad](exclusions)'; }

include_again() {
  if dry || [[ $(exclusions)$'\n' == *": $1"$'\n'* ]]; then run logging sinks update _Default --remove-exclusions="$1"; fi
}

destroy_logs() {
  heading "What kept logs away; the log bucket stays"
  if wants pubsub; then include_again "$MESSAGES-answered"; fi
  if [[ ! $ONLY ]]; then
    include_again "$NAME-kept-elsewhere"
    undo logging sinks delete "$NAME"
  fi
}
