# shellcheck shell=bash
# What is deployed already, what is wanted now, and what would be lost on the way from one to the other.

# Looks at the functions that are there. What nobody says now is taken from them.
look() {
  heading "What is deployed already"
  FILES_NOW='' FILES_TOPIC='' MESSAGES_NOW='' TOPIC_NOW=''
  if wants gcs || wants monitoring; then FILES_NOW=$(deployed "$FILES"); fi
  if wants gcs; then FILES_TOPIC=$(existing pubsub subscriptions describe "$FILES" --format='value(topic)' || true); fi
  if wants pubsub; then MESSAGES_NOW=$(deployed "$MESSAGES"); fi
  if wants pubsub || wants monitoring; then
    TOPIC_NOW=$(existing pubsub subscriptions describe "$MESSAGES" --format='value(topic)' || true)
  fi
}

# A function as lines `name: value`, or nothing. Waits for a deployment that an earlier, interrupted run has left under way.
deployed() {
  local found
  found=$(describe_function "$1")
  while [[ $found == *$'\n'"state: DEPLOYING"* ]]; do
    note "$1 is being deployed; waiting for that"
    sleep 10
    found=$(describe_function "$1")
  done
  printf '%s' "$found"
}

describe_function() {
  existing functions describe "$1" --gen2 --region="$REGION" \
    --format='flattened[no-pad](state,labels,eventTrigger,serviceConfig)' || true
}

field() { awk -v key="$2: " 'index($0, key) == 1 { print substr($0, length(key) + 1); exit }' <<<"$1"; }

# The settings of a function as lines NAME=value. LOG_EXECUTION_ID is Google's own.
settings_in() {
  awk -v start=serviceConfig.environmentVariables. '
    index($0, start) == 1 { line = substr($0, length(start) + 1); sub(/: ?/, "=", line); print line }' <<<"$1" |
    grep -v '^LOG_EXECUTION_ID=' || true
}

# Secrets of the user's own that a function has, as --set-secrets wants them.
secrets_in() {
  awk -F ': ' -v ours="$SECRET" '
    !/^serviceConfig.secretEnvironmentVariables/ { next }
    { part = $1; sub(/.*\./, "", part); is[part] = $2 }
    part == "version" && is["secret"] != ours {
      printf ",%s=projects/%s/secrets/%s:%s", is["key"], is["projectId"], is["secret"], $2
    }' <<<"$1"
}

# The variable that has our secret.
secret_variable() {
  awk -F ': ' -v ours="$SECRET" '
    !/^serviceConfig.secretEnvironmentVariables/ { next }
    $1 ~ /key$/ { key = $2 }
    $1 ~ /secret$/ && $2 == ours { print key; exit }' <<<"$1"
}

# Fills in what was not said: from what is deployed, or else with what is meant where nobody says anything.
settle() {
  local now=$FILES_NOW$'\n'$MESSAGES_NOW variables=serviceConfig.environmentVariables found
  found=$(field "$now" $variables.IMPORT_CHECKPOINTS)
  found=${found:-$(field "$MESSAGES_NOW" $variables.IMPORT_REJECTS | grep -E '^gs://[^/]+/rejects$' || true)}
  if [[ ! $STATE_BUCKET && $found ]]; then STATE_BUCKET=$(cut -d / -f 3 <<<"$found"); fi
  STATE_BUCKET=${STATE_BUCKET:-$PROJECT_ID-$NAME}
  REJECTS=${IMPORT_REJECTS:-$(unless_unset IMPORT_REJECTS "$(field "$now" $variables.IMPORT_REJECTS)")}
  REJECTS=${REJECTS:-gs://$STATE_BUCKET/rejects}
  found=${IMPORT_TIME_LIMIT:-$(unless_unset IMPORT_TIME_LIMIT "$(field "$FILES_NOW" $variables.IMPORT_TIME_LIMIT)")}
  FILES_TIMEOUT=${found:-$FILES_TIMEOUT}
  SOURCE_BUCKET=${SOURCE_BUCKET:-$(trigger_bucket)}
  SOURCE_TOPIC=${SOURCE_TOPIC:-$TOPIC_NOW}
  BUCKET_LOCATION=$(field "$FILES_NOW" eventTrigger.triggerRegion)
  BUCKET_LOCATION=${BUCKET_LOCATION:-$REGION}
  if [[ $FILES_NOW && ! $(trigger_bucket) ]]; then KIND_NOW=notifications; else KIND_NOW=${FILES_NOW:+Eventarc}; fi
  if [[ $KIND_NOW == notifications || $VERB == destroy && $FILES_TOPIC ]]; then NOTIFICATIONS=yes; fi
  BILLING=${BILLING:-$(field "$MESSAGES_NOW" labels.billing)}
  BILLING=${BILLING:-instances}
  settle_credentials "$(secret_variable "$now")"
}

unless_unset() { if [[ ! $CONFIG && " $UNSET " != *" $1 "* ]]; then echo "$2"; fi; }

settle_credentials() {
  case ${MIXPANEL_CREDENTIALS:-$1} in
    project-token | MIXPANEL_PROJECT_TOKEN) SECRET_VARIABLE=MIXPANEL_PROJECT_TOKEN ;;
    api-secret | MIXPANEL_API_SECRET) SECRET_VARIABLE=MIXPANEL_API_SECRET ;;
    *) SECRET_VARIABLE=MIXPANEL_SERVICE_ACCOUNT_SECRET ;;
  esac
  if [[ $SECRET_VARIABLE != MIXPANEL_SERVICE_ACCOUNT_SECRET ]]; then  # or there would be two kinds of them
    MIXPANEL_SERVICE_ACCOUNT_USERNAME=''
    UNSET+=" MIXPANEL_SERVICE_ACCOUNT_USERNAME"
  fi
}

trigger_bucket() {
  awk -F ': ' '/^eventTrigger.eventFilters.*attribute: bucket$/ { is = 1; next } is { print $2; exit }' <<<"$FILES_NOW"
}

# NAME=value, sorted, of all that a function is to have: what is given comes first, then what it has.
wanted() {
  local now=$1
  shift
  {
    printf '%s\n' "$@"
    given
    kept "$now"
    echo MIXPANEL_REGION=us
  } | awk -F = 'NF && !seen[$1]++' | LC_ALL=C sort
}

wanted_of_files() {
  wanted "$FILES_NOW" "IMPORT_REJECTS=$REJECTS" "IMPORT_CHECKPOINTS=gs://$STATE_BUCKET/checkpoints" \
    "IMPORT_TIME_LIMIT=$FILES_TIMEOUT"
}

wanted_of_messages() { wanted "$MESSAGES_NOW" "IMPORT_REJECTS=$REJECTS" | grep -v '^IMPORT_TIME_LIMIT='; }

given() {
  local name
  for name in MIXPANEL_REGION MIXPANEL_PROJECT_ID MIXPANEL_SERVICE_ACCOUNT_USERNAME MIXPANEL_API_URL LOG_LEVEL "${!IMPORT_@}"; do
    if [[ ${!name:-} && $name != IMPORT_CHECKPOINTS ]]; then printf '%s=%s\n' "$name" "${!name}"; fi
  done
}

# With a file of settings, that has all of the importer's own; what else a function has is somebody's, and stays.
kept() {
  local line name
  settings_in "$1" | while IFS= read -r line; do
    name=${line%%=*}
    if [[ " $UNSET " != *" $name "* && ! ($CONFIG && $name =~ $OURS) ]]; then printf '%s\n' "$line"; fi
  done
}

# Shows what changes, and ends before anything is changed if that would lose something.
compare() {
  LOST=''
  if dry; then
    note "What changes is shown here; what would be lost ends it: a setting without --unset=NAME, a trigger without --replace-trigger."
    return
  fi
  heading "What changes"
  if wants gcs; then
    show_changes "$FILES" "$FILES_NOW" "$(wanted_of_files)" "$FILES_TIMEOUT" "$FILES_MEMORY" "$FILES_INSTANCES" "$FILES_CONCURRENCY"
    check_trigger
  fi
  if wants pubsub; then
    show_changes "$MESSAGES" "$MESSAGES_NOW" "$(wanted_of_messages)" "$MESSAGES_TIMEOUT" "$MESSAGES_MEMORY" \
      "$MESSAGES_INSTANCES" "$MESSAGES_CONCURRENCY"
    check_topic
  fi
  [[ ! $LOST ]] || die "nothing was changed, because something would be lost:$LOST"
}

show_changes() {
  local name=$1 now=$2 wanted=$3 has changes line key word value found
  if [[ ! $now ]]; then
    note "$name is not there yet."
    return
  fi
  has=$(settings_in "$now")
  for line in timeoutSeconds:--timeout:$4 availableMemory:--memory:$5 maxInstanceCount:instances:$6 \
    maxInstanceRequestConcurrency:concurrency:$7; do
    IFS=: read -r key word value <<<"$line"
    found=$(field "$now" "serviceConfig.$key")
    if [[ $found ]]; then has+=$'\n'"$word=$found" wanted+=$'\n'"$word=$value"; fi
  done
  changes=$(differences "$has" "$wanted")
  if [[ $changes ]]; then
    note "$name:"
    print "$changes"
  else
    note "$name has these settings already."
  fi
  if [[ $CONFIG ]]; then check_removals "$name" "$has" "$wanted"; fi
}

# What sounds like a secret is named, and not shown.
differences() {
  awk -F = '
    function shown(name, value) { return name ~ /SECRET|TOKEN|PASSWORD|KEY/ ? "…" : value }
    NF && FNR == NR { has[$1] = substr($0, length($1) + 2); order[++count] = $1; next }
    NF { value = substr($0, length($1) + 2); wanted[$1] = 1
      if (!($1 in has)) print "#   + " $1 "=" shown($1, value)
      else if (has[$1] != value) print "#   ~ " $1 "=" shown($1, value) "   (it was " shown($1, has[$1]) ")" }
    END { for (i = 1; i <= count; i++) if (!(order[i] in wanted)) print "#   - " order[i] "=" shown(order[i], has[order[i]]) }
  ' <(printf '%s\n' "$1") <(printf '%s\n' "$2") | sort -k 3
}

# A file of settings has them all, so what it lacks would go.
check_removals() {
  local line name
  while IFS= read -r line; do
    name=${line%%=*}
    if [[ $name =~ $OURS && ! ${!name:-} && $name != IMPORT_CHECKPOINTS && " $UNSET " != *" $name "* ]] &&
      ! grep -qxF -e "$line" <<<"$3"; then
      LOST+=$'\n'"  $1 has $line, which is not in $CONFIG: write it there, or take it away with --unset=$name"
    fi
  done <<<"$2"
}

check_trigger() {
  local bucket kind=${NOTIFICATIONS:+notifications}
  kind=${kind:-Eventarc}
  bucket=$(trigger_bucket)
  if [[ $KIND_NOW && $KIND_NOW != "$kind" ]]; then
    LOST+=$'\n'"  $FILES hears of objects by $KIND_NOW, and now by $kind: what is still waiting there would be dropped, and a function
  cannot change that. Make a second importer (--name=…) that hears by $kind; once nothing is waiting in this one any more
  (the dashboard shows it), destroy it (--only=gcs). What both import, Mixpanel takes as one"
    return
  fi
  if [[ ! $FILES_NOW || ! $bucket || $bucket == "$SOURCE_BUCKET" || $REPLACE_TRIGGER ]]; then return; fi
  LOST+=$'\n'"  $FILES imports gs://$bucket, and gs://$SOURCE_BUCKET is wanted: its trigger would be made anew, and what gs://$bucket
  has announced and is still waiting would be dropped. To import both, make a second importer (--name=…). To move, wait
  until nothing is waiting (the dashboard shows it), then add --replace-trigger"
}

check_topic() {
  local now=${TOPIC_NOW#"projects/$PROJECT_ID/topics/"} wanted=${SOURCE_TOPIC#"projects/$PROJECT_ID/topics/"}
  if [[ ! $now || $now == "$wanted" || $REPLACE_TRIGGER ]]; then return; fi
  if [[ $now == _deleted-topic_ ]]; then
    LOST+=$'\n'"  the topic of the subscription $MESSAGES was deleted, and nothing published since reaches it: --replace-trigger
  makes it anew on $wanted; what is still waiting in it goes to a snapshot first"
    return
  fi
  LOST+=$'\n'"  $MESSAGES imports the topic $now, and $wanted is wanted: a subscription cannot change its topic, so it would be made
  anew. To import both, make a second importer (--name=…). To move, wait until nothing is waiting (the dashboard shows it),
  then add --replace-trigger; what is waiting all the same goes to a snapshot, which is kept for a week"
}
