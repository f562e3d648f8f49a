#!/usr/bin/env bash
#
# Puts the importer into a Google Cloud project, or takes it away again.
#
# It looks at what is there, makes what is missing and changes what differs: run it again after a change, or after it
# stopped half-way, and it ends in the same state. What it makes and why is written beside each step;
# `--dry-run` prints the commands and runs none of them.

set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'END'
Usage: ./deploy.sh [deploy|destroy] [flags]

What to import, and where it runs (each flag can also be set as the variable behind it):
  --project=ID             PROJECT_ID       the Google Cloud project
  --region=REGION          REGION           where the functions run, such as europe-west1
  --bucket=BUCKET          SOURCE_BUCKET    import the objects written to this bucket
  --topic=TOPIC            SOURCE_TOPIC     import the messages published to this topic
  --name=NAME              IMPORTER_NAME    first word of everything made (mixpanel)
  --state-bucket=BUCKET    STATE_BUCKET     keeps rejects and checkpoints (PROJECT-NAME)
  --alert-email=ADDRESS    ALERT_EMAIL      who hears of an alert

The Mixpanel project:
  --residency=us|eu|in     MIXPANEL_REGION                      where its data lives (us)
  --mixpanel-project=ID    MIXPANEL_PROJECT_ID                  its number
  --mixpanel-user=NAME     MIXPANEL_SERVICE_ACCOUNT_USERNAME    the service account's user name
  --credentials=KIND       MIXPANEL_CREDENTIALS                 service-account (the default), project-token or api-secret

The secret itself is asked for, once, or read from standard input; it is kept in Secret Manager and nowhere else:
  ./deploy.sh --project=… < secret.txt      a file outside this tree

What to do:
  --dry-run                print every command, run none
  --only=PART              gcs, pubsub or monitoring
  --new-secret             ask for the secret again, and put the functions on it
  --yes                    destroy without asking

The importer's own settings (IMPORT_INCLUDE, IMPORT_TRANSFORM, LOG_LEVEL, … in README.md) are taken from the
environment and given to the functions. IMPORT_REJECTS may name a topic of yours instead of the bucket made here.
END
}

# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────────────
# Every name there is, in one place. NAME begins them all, so that two importers can share a project.

set_names() {
  FILES=$NAME-files                             # imports objects: the function, and the account it runs as
  FILES_TRIGGER=$NAME-files-trigger             # the account that hands it events
  FILES_DEAD_LETTERS=$NAME-files-dead-letters   # topic and subscription: events nobody could deliver
  MESSAGES=$NAME-messages                       # imports messages: function, account, push subscription
  MESSAGES_PUSH=$NAME-messages-push             # the account that pushes to it
  MESSAGES_DEAD_LETTERS=$NAME-messages-dead-letters
  BUILDER=$NAME-build                           # the account that builds both
  SECRET=$NAME-secret                           # in Secret Manager
  STATE_BUCKET=${STATE_BUCKET:-$PROJECT_ID-$NAME}
  METRIC=${NAME//-/_}                           # METRIC_read, METRIC_imported, …: what the log counts; the dashboard is NAME
  REJECTS=${IMPORT_REJECTS:-gs://$STATE_BUCKET/rejects}
}

# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────

RUNTIME=python313  # the newest that the tests run on (.github/workflows/test.yml)

# One instance of gcs_import, reading one object, already sends what Mixpanel takes from a project: 2 GB, or 1.8 million events,
# a minute. So a few are plenty, and the queue waits in Pub/Sub, where it is durable. But not too few: with 12, even a thousand
# objects whose refused deliveries all came back at the same moment would each find a free instance within their 100
# deliveries; and 12 that share Mixpanel's rate still finish 200 MB each well within the time limit.
# One object an instance keeps memory flat (its peak was measured below 150 MB) and gives a big object all of the 540 seconds,
# which is as long as an event may take.
FILES_INSTANCES=12
FILES_CONCURRENCY=1
FILES_TIMEOUT=540
FILES_MEMORY=512Mi

# pubsub_import holds each push open until the batch with its message has been taken, so a batch is as large as the number of
# open requests allows: hundreds. Not the thousand that is possible, because Cloud Run starts another instance at 60 % of
# this number, and because each open request costs memory. Ten such instances carry the 30,000 events a second of the limit.
MESSAGES_INSTANCES=10
MESSAGES_CONCURRENCY=500
MESSAGES_TIMEOUT=90  # a request to Mixpanel may hang for 60, and a batch is tried again for 10
MESSAGES_MEMORY=512Mi

# A push refused because every instance was busy counts as a delivery. So: as many deliveries as Pub/Sub allows, as far
# apart as it allows. That is over 15 hours of waiting before anything is called a dead letter; docs/operations.md has
# the arithmetic, and what flood that is good for. Deliveries run out before the week does: nothing expires unseen.
DELIVERY_ATTEMPTS=100
MIN_RETRY_DELAY=10s
MAX_RETRY_DELAY=600s
RETENTION=7d
FILES_ACK_DEADLINE=600  # longer than the function may take, or the same would be delivered twice at once
MESSAGES_ACK_DEADLINE=120
DEAD_LETTER_RETENTION=31d

# What the person who deploys must be allowed to do, and the role that allows it.
PERMISSIONS="
  serviceusage.services.enable              roles/serviceusage.serviceUsageAdmin
  resourcemanager.projects.setIamPolicy     roles/resourcemanager.projectIamAdmin
  iam.serviceAccounts.create                roles/iam.serviceAccountAdmin
  iam.serviceAccounts.setIamPolicy          roles/iam.serviceAccountAdmin
  iam.serviceAccounts.actAs                 roles/iam.serviceAccountUser
  secretmanager.secrets.create              roles/secretmanager.admin
  secretmanager.versions.add                roles/secretmanager.admin
  storage.buckets.create                    roles/storage.admin
  storage.buckets.setIamPolicy              roles/storage.admin
  cloudfunctions.functions.create           roles/cloudfunctions.developer
  cloudfunctions.functions.update           roles/cloudfunctions.developer
  run.services.setIamPolicy                 roles/run.admin
  eventarc.triggers.get                     roles/eventarc.viewer
  pubsub.topics.create                      roles/pubsub.admin
  pubsub.subscriptions.update               roles/pubsub.admin
  pubsub.subscriptions.setIamPolicy         roles/pubsub.admin
  logging.logMetrics.create                 roles/logging.configWriter
  monitoring.dashboards.create              roles/monitoring.editor
  monitoring.alertPolicies.create           roles/monitoring.editor
  monitoring.notificationChannels.create    roles/monitoring.editor"

# The Google services it stands on.
APIS="cloudresourcemanager iam serviceusage cloudbuild artifactregistry cloudfunctions run eventarc pubsub storage
  secretmanager logging monitoring"

REDELIVERY=(
  --max-delivery-attempts="$DELIVERY_ATTEMPTS" --min-retry-delay="$MIN_RETRY_DELAY" --max-retry-delay="$MAX_RETRY_DELAY"
  --message-retention-duration="$RETENTION" --expiration-period=never)

# Where Cloud Functions keeps the sources it builds from; the builder may read no other bucket.
SOURCES_ONLY='expression=resource.name.startsWith("projects/_/buckets/gcf-v2-"),title=function-sources'

# ── Deploying ────────────────────────────────────────────────────────────────────────────────────────────────────

deploy() {
  check_project
  enable_apis
  check_sources
  if wants gcs || wants pubsub; then
    make_service_agents
    keep_secret
    make_state_bucket
    make_builder
  fi
  if wants gcs; then deploy_files; fi
  if wants pubsub; then deploy_messages; fi
  if wants monitoring; then deploy_monitoring; fi
  heading "Done"
}

check_project() {
  heading "Who deploys, and where to"
  local billed
  ACCOUNT=$(ask you@example.com auth list --filter=status:ACTIVE --format='value(account)')
  [[ $ACCOUNT ]] || die "nobody is logged in: run 'gcloud auth login', then this again"
  NUMBER=$(ask PROJECT_NUMBER projects describe "$PROJECT_ID" --format='value(projectNumber)')
  billed=$(run_optional True billing projects describe "$PROJECT_ID" --format='value(billingEnabled)')
  [[ $billed != False ]] || die "project $PROJECT_ID has no billing account:" \
    "'gcloud billing accounts list' shows yours, 'gcloud billing projects link $PROJECT_ID --billing-account=…' links one"
  check_permissions
}

# gcloud has no command that asks what one may do, so this question goes to the API itself. The token goes through a pipe,
# where no list of processes shows it.
check_permissions() {
  local url=https://cloudresourcemanager.googleapis.com/v1/projects/$PROJECT_ID:testIamPermissions
  local names granted permission role missing='' roles=''
  if dry; then
    print "gcloud auth print-access-token | curl $url  # may this account do what follows?"
    return
  fi
  names=$(awk 'NF { printf "%s\"%s\"", comma, $1; comma = "," }' <<<"$PERMISSIONS")
  granted=$(gcloud auth print-access-token | sed 's/.*/header = "Authorization: Bearer &"/' |
    curl --silent --show-error --fail --config - --header 'Content-Type: application/json' \
      --data "{\"permissions\": [$names]}" "$url") || {
    note "Could not ask what $ACCOUNT may do; going on without."
    return 0
  }
  while read -r permission role; do
    if [[ $permission && $granted != *"\"$permission\""* ]]; then
      missing+=$'\n'"  $permission ($role)"
      [[ $roles == *"=$role "* ]] ||
        roles+=$'\n'"  gcloud projects add-iam-policy-binding $PROJECT_ID --member=$(member "$ACCOUNT") --role=$role --condition=None"
    fi
  done <<<"$PERMISSIONS"
  [[ ! $missing ]] ||
    die "$ACCOUNT lacks permissions on project $PROJECT_ID:$missing"$'\n'"An owner of the project can give them:$roles"
}

enable_apis() {
  heading "Google's services"
  local enabled api missing=()
  enabled=$(ask '' services list --enabled --format='value(config.name)')
  for api in $APIS; do
    grep -qx "$api.googleapis.com" <<<"$enabled" || missing+=("$api.googleapis.com")
  done
  if ((${#missing[@]})); then run services enable "${missing[@]}"; fi
}

# The bucket and the topic are the user's: looked at, never made, changed or deleted.
check_sources() {
  heading "What is to be imported"
  if wants gcs; then
    BUCKET_LOCATION=$(existing storage buckets describe "gs://$SOURCE_BUCKET" --format='value(location)') ||
      stop "there is no bucket gs://$SOURCE_BUCKET: 'gcloud storage buckets create gs://$SOURCE_BUCKET --location=$REGION' makes one"
    BUCKET_LOCATION=$(tr '[:upper:]' '[:lower:]' <<<"${BUCKET_LOCATION:-$REGION}")
  fi
  if wants pubsub; then
    existing pubsub topics describe "$SOURCE_TOPIC" >/dev/null ||
      stop "there is no topic $SOURCE_TOPIC: 'gcloud pubsub topics create $SOURCE_TOPIC' makes one"
  fi
}

# The accounts that Google's services act as here. Usually they come with the service, but on some projects they are late.
make_service_agents() {
  heading "The accounts that Google's own services act as"
  PUBSUB_AGENT=service-$NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com
  EVENTARC_AGENT=service-$NUMBER@gcp-sa-eventarc.iam.gserviceaccount.com
  run beta services identity create --service=pubsub.googleapis.com
  if wants gcs; then
    run beta services identity create --service=eventarc.googleapis.com
    grant_on_project "$EVENTARC_AGENT" roles/eventarc.serviceAgent
  fi
}

keep_secret() {
  heading "The Mixpanel secret: kept in Secret Manager, read by the functions alone"
  local secret
  existing secrets describe "$SECRET" >/dev/null ||
    run secrets create "$SECRET" --replication-policy=user-managed --locations="$REGION"
  SECRET_VERSION=$(newest_secret)
  if [[ ! $SECRET_VERSION || $NEW_SECRET ]]; then
    secret=$(read_secret)
    feed "the secret" "$secret" secrets versions add "$SECRET" --data-file=-
    SECRET_VERSION=$(newest_secret)
  fi
  if dry; then SECRET_VERSION=1; fi
}

# Functions are given a version by its number: a new one is then a new deployment, which puts every instance on it.
newest_secret() {
  ask '' secrets versions list "$SECRET" --filter=state=ENABLED --sort-by=~createTime --limit=1 --format='value(name.basename())'
}

read_secret() {
  local secret=''
  if dry; then return; fi
  if [[ -t 0 ]]; then
    read -rsp "$SECRET_VARIABLE (not shown as you type): " secret
    echo >&2
  else
    read -r secret || true
  fi
  [[ $secret ]] || die "no secret was given: run this in a terminal, or with the secret on standard input"
  printf '%s' "$secret"
}

make_state_bucket() {
  heading "A bucket for rejects (kept a year) and checkpoints (a month), closed to the public"
  local settings=(--uniform-bucket-level-access --public-access-prevention --lifecycle-file=monitoring/lifecycle.json)
  if existing storage buckets describe "gs://$STATE_BUCKET" >/dev/null; then
    run storage buckets update "gs://$STATE_BUCKET" "${settings[@]}"
  else
    run storage buckets create "gs://$STATE_BUCKET" --location="$REGION" "${settings[@]}"
  fi
}

# Google's default account for builds may do nearly everything in old projects and nothing in new ones. This one may read
# the sources of functions, write images and write logs.
make_builder() {
  heading "An account that builds the functions"
  make_account "$BUILDER" "Builds the Mixpanel importer"
  grant_on_project "$(email "$BUILDER")" roles/logging.logWriter
  grant_on_project "$(email "$BUILDER")" roles/artifactregistry.writer
  grant_on_project "$(email "$BUILDER")" roles/storage.objectViewer "$SOURCES_ONLY"
}

deploy_files() {
  heading "gcs_import: who it runs as, and what that account may touch"
  make_account "$FILES" "Runs gcs_import"
  grant_on_bucket "$SOURCE_BUCKET" "$(email "$FILES")" roles/storage.objectViewer
  grant_what_both_need "$FILES"

  heading "gcs_import: who hands it events"
  make_account "$FILES_TRIGGER" "Hands events to gcs_import"
  grant_on_project "$(email "$FILES_TRIGGER")" roles/eventarc.eventReceiver
  grant_on_project "$(ask service-PROJECT_NUMBER@gs-project-accounts.iam.gserviceaccount.com storage service-agent)" \
    roles/pubsub.publisher
  let_pubsub_sign_as "$FILES_TRIGGER"

  heading "gcs_import: the function"
  deploy_function "$FILES" gcs_import \
    --trigger-event-filters="type=google.cloud.storage.object.v1.finalized,bucket=$SOURCE_BUCKET" \
    --trigger-location="$BUCKET_LOCATION" \
    --trigger-service-account="$(email "$FILES_TRIGGER")" \
    --retry \
    --timeout="${FILES_TIMEOUT}s" \
    --concurrency="$FILES_CONCURRENCY" \
    --max-instances="$FILES_INSTANCES" \
    --memory="$FILES_MEMORY" \
    --cpu=1 \
    --set-env-vars="$(variables "IMPORT_REJECTS=$REJECTS" "IMPORT_CHECKPOINTS=gs://$STATE_BUCKET/checkpoints")"
  may_call "$FILES" "$FILES_TRIGGER"

  heading "gcs_import: events that could not be delivered are kept; Eventarc alone would drop them after a day"
  local trigger subscription
  make_dead_letters "$FILES_DEAD_LETTERS"
  trigger=$(ask "projects/$PROJECT_ID/locations/$BUCKET_LOCATION/triggers/$FILES-123456" \
    functions describe "$FILES" --gen2 --region="$REGION" --format='value(eventTrigger.trigger)')
  subscription=$(ask "projects/$PROJECT_ID/subscriptions/eventarc-$BUCKET_LOCATION-$FILES-123456-sub-789" \
    eventarc triggers describe "$trigger" --format='value(transport.pubsub.subscription)')
  grant_dead_letter_publisher "${subscription##*/}" "$FILES_DEAD_LETTERS"
  run pubsub subscriptions update "${subscription##*/}" --ack-deadline="$FILES_ACK_DEADLINE" \
    --dead-letter-topic="$FILES_DEAD_LETTERS" "${REDELIVERY[@]}"
}

deploy_messages() {
  heading "pubsub_import: who it runs as, and what that account may touch"
  make_account "$MESSAGES" "Runs pubsub_import"
  grant_what_both_need "$MESSAGES"

  heading "pubsub_import: the function"
  deploy_function "$MESSAGES" pubsub_import \
    --trigger-http \
    --timeout="${MESSAGES_TIMEOUT}s" \
    --concurrency="$MESSAGES_CONCURRENCY" \
    --max-instances="$MESSAGES_INSTANCES" \
    --memory="$MESSAGES_MEMORY" \
    --cpu=1 \
    --set-env-vars="$(variables "IMPORT_REJECTS=$REJECTS")"

  heading "pubsub_import: who pushes to it, how often, and where messages are kept that it could not take"
  local url push
  make_account "$MESSAGES_PUSH" "Pushes messages to pubsub_import"
  may_call "$MESSAGES" "$MESSAGES_PUSH"
  let_pubsub_sign_as "$MESSAGES_PUSH"
  make_dead_letters "$MESSAGES_DEAD_LETTERS"
  url=$(ask "https://$MESSAGES-PROJECT_NUMBER.$REGION.run.app" \
    functions describe "$MESSAGES" --gen2 --region="$REGION" --format='value(serviceConfig.uri)')
  push=(
    --push-endpoint="$url" --push-auth-service-account="$(email "$MESSAGES_PUSH")" --push-auth-token-audience="$url"
    --ack-deadline="$MESSAGES_ACK_DEADLINE" --dead-letter-topic="$MESSAGES_DEAD_LETTERS" "${REDELIVERY[@]}")
  if existing pubsub subscriptions describe "$MESSAGES" >/dev/null; then
    run pubsub subscriptions update "$MESSAGES" "${push[@]}"
  else
    run pubsub subscriptions create "$MESSAGES" --topic="$SOURCE_TOPIC" "${push[@]}"
  fi
  grant_dead_letter_publisher "$MESSAGES" "$MESSAGES_DEAD_LETTERS"
}

# What is in monitoring/ carries a stamp of its own text: only what differs from it is written, so that what someone
# changed in the console stays until the file here changes.
deploy_monitoring() {
  local file metric found row channel channels title
  heading "Eyes: what the log counts"
  for file in monitoring/metrics/*.json; do
    metric=${METRIC}_$(basename "$file" .json)
    if ! found=$(existing logging metrics describe "$metric" --format='value(description)'); then
      feed "$file" "$(render "$file")" logging metrics create "$metric" --config-from-file=-
    elif [[ $found != *"$(stamp_of "$file")"* ]]; then
      feed "$file" "$(render "$file")" logging metrics update "$metric" --config-from-file=-
    fi
  done

  heading "Eyes: a dashboard"
  file=monitoring/dashboard.json
  if ! found=$(existing monitoring dashboards describe "$NAME" --format='value(etag,labels.stamp)'); then
    feed "$file" "$(render "$file")" monitoring dashboards create --config-from-file=-
  elif [[ $found != *"$(stamp_of "$file")"* ]]; then
    feed "$file" "$(render "$file" "${found%%$'\t'*}")" monitoring dashboards update "$NAME" --config-from-file=-
  fi

  heading "Eyes: alerts, each of which says what to do"
  local row policy stamp channels wanted
  channel=$(alert_channel)
  found=$(ask '' alpha monitoring policies list \
    --format='value(name,displayName,userLabels.stamp,notificationChannels.list())')
  for file in monitoring/alerts/*.json; do
    title=$(render "$file" | sed -n 's/^  "displayName": "\(.*\)",$/\1/p')
    row=$(awk -F '\t' -v title="$title" '$2 == title' <<<"$found")
    IFS=$'\t' read -r policy _ stamp channels <<<"$row"
    wanted=${channels:-$channel}
    if [[ ! $row ]]; then
      feed "$file" "$(render "$file")" alpha monitoring policies create --policy-from-file=- \
        ${wanted:+"--notification-channels=$wanted"}
    elif [[ $stamp != "$(stamp_of "$file")" || $channels != "$wanted" ]]; then
      feed "$file" "$(render "$file")" alpha monitoring policies update "$policy" --policy-from-file=- \
        ${wanted:+"--set-notification-channels=$wanted"}
    fi
  done
}

# The name of the channel that writes to ALERT_EMAIL, made if there is none.
alert_channel() {
  local found placeholder=projects/$PROJECT_ID/notificationChannels/1$'\t'$ALERT_EMAIL
  if [[ ! $ALERT_EMAIL ]]; then
    note "Alerts will show in the console and be sent to nobody: --alert-email=… changes that."
    return
  fi
  found=$(channel_to "$ALERT_EMAIL" '')
  if [[ ! $found ]]; then
    run beta monitoring channels create --display-name="$ALERT_EMAIL" --type=email \
      --channel-labels="email_address=$ALERT_EMAIL"
    found=$(channel_to "$ALERT_EMAIL" "$placeholder")
  fi
  echo "$found"
}

channel_to() {
  ask "$2" beta monitoring channels list --format='value(name,labels.email_address)' |
    awk -F '\t' -v address="$1" '$2 == address && !found++ { print $1 }'
}

# ── Destroying ───────────────────────────────────────────────────────────────────────────────────────────────────

destroy() {
  heading "What goes ($PARTS)"
  note "Functions, their accounts and grants, triggers, metrics, dashboard and alerts${ONLY:+ of $ONLY}; with everything, the secret."
  heading "What stays, because it holds data of yours"
  note "Your bucket and your topic; gs://$STATE_BUCKET with rejects and checkpoints; the dead letters;"
  note "and, for a week, in a snapshot, the messages that were not yet delivered."
  confirm
  if wants monitoring; then destroy_monitoring; fi
  if wants pubsub; then destroy_messages; fi
  if wants gcs; then destroy_files; fi
  if [[ ! $ONLY ]]; then
    heading "What both functions shared"
    ungrant_on_project "$(email "$BUILDER")" roles/logging.logWriter
    ungrant_on_project "$(email "$BUILDER")" roles/artifactregistry.writer
    ungrant_on_project "$(email "$BUILDER")" roles/storage.objectViewer "$SOURCES_ONLY"
    undo iam service-accounts delete "$(email "$BUILDER")"
    undo secrets delete "$SECRET"
  fi
  heading "Gone"
}

destroy_monitoring() {
  heading "Alerts, dashboard and metrics"
  local policies policy importer file
  policies=$(ask "projects/$PROJECT_ID/alertPolicies/123 $NAME" \
    alpha monitoring policies list --format='value(name,userLabels.importer)')
  while read -r policy importer; do
    if [[ $importer == "$NAME" ]]; then undo alpha monitoring policies delete "$policy"; fi
  done <<<"$policies"
  undo monitoring dashboards delete "$NAME"
  for file in monitoring/metrics/*.json; do
    undo logging metrics delete "${METRIC}_$(basename "$file" .json)"
  done
}

destroy_messages() {
  heading "pubsub_import"
  if existing pubsub subscriptions describe "$MESSAGES" >/dev/null || dry; then
    run pubsub snapshots create "$MESSAGES-$(date -u +%Y%m%d-%H%M%S)" --subscription="$MESSAGES"
    undo pubsub subscriptions delete "$MESSAGES"
  fi
  undo functions delete "$MESSAGES" --gen2 --region="$REGION"
  ungrant_on_bucket "$STATE_BUCKET" "$(email "$MESSAGES")" roles/storage.objectUser
  undo iam service-accounts delete "$(email "$MESSAGES")"
  undo iam service-accounts delete "$(email "$MESSAGES_PUSH")"
}

destroy_files() {
  heading "gcs_import, and its trigger with it"
  undo functions delete "$FILES" --gen2 --region="$REGION"
  if [[ $SOURCE_BUCKET ]]; then
    ungrant_on_bucket "$SOURCE_BUCKET" "$(email "$FILES")" roles/storage.objectViewer
  fi
  ungrant_on_bucket "$STATE_BUCKET" "$(email "$FILES")" roles/storage.objectUser
  ungrant_on_project "$(email "$FILES_TRIGGER")" roles/eventarc.eventReceiver
  undo iam service-accounts delete "$(email "$FILES")"
  undo iam service-accounts delete "$(email "$FILES_TRIGGER")"
}

confirm() {
  local answer=''
  if dry || [[ $YES ]]; then return; fi
  printf 'Type the name of the project to go on: ' >&2
  read -r answer || true
  [[ $answer == "$PROJECT_ID" ]] || die "nothing was changed"
}

# ── Steps that several of the above take ─────────────────────────────────────────────────────────────────────────

make_account() {
  existing iam service-accounts describe "$(email "$1")" >/dev/null ||
    run iam service-accounts create "$1" --display-name="$2"
}

# Without --condition gcloud asks, on projects whose policy has conditions, and fails where it cannot ask.
grant_on_project() {
  run projects add-iam-policy-binding "$PROJECT_ID" --member="serviceAccount:$1" --role="$2" --condition="${3:-None}"
}

ungrant_on_project() {
  undo projects remove-iam-policy-binding "$PROJECT_ID" --member="serviceAccount:$1" --role="$2" --condition="${3:-None}"
}

grant_on_bucket() {
  run storage buckets add-iam-policy-binding "gs://$1" --member="serviceAccount:$2" --role="$3" --condition=None
}

ungrant_on_bucket() {
  undo storage buckets remove-iam-policy-binding "gs://$1" --member="serviceAccount:$2" --role="$3" --condition=None
}

# The one secret, and the one place for rejects and checkpoints. An upload that is tried again replaces what the first try may
# have left, and checkpoints are removed when an object is done: hence objectUser, not objectCreator.
grant_what_both_need() {
  local account
  account=$(email "$1")
  run secrets add-iam-policy-binding "$SECRET" --member="serviceAccount:$account" \
    --role=roles/secretmanager.secretAccessor --condition=None
  grant_on_bucket "$STATE_BUCKET" "$account" roles/storage.objectUser
  case $REJECTS in
    gs://"$STATE_BUCKET"/*) ;;
    gs://*) grant_on_bucket "$(cut -d / -f 3 <<<"$REJECTS")" "$account" roles/storage.objectUser ;;
    *) run pubsub topics add-iam-policy-binding "$REJECTS" --member="serviceAccount:$account" --role=roles/pubsub.publisher ;;
  esac
}

# Lets Pub/Sub present the account's name to the function. Projects made before April 2021 do not allow it by themselves.
let_pubsub_sign_as() {
  run iam service-accounts add-iam-policy-binding "$(email "$1")" --member="serviceAccount:$PUBSUB_AGENT" \
    --role=roles/iam.serviceAccountTokenCreator --condition=None
}

# Nobody else may call the function: there is no allUsers in its policy.
may_call() {
  run run services add-iam-policy-binding "$1" --region="$REGION" --member="serviceAccount:$(email "$2")" \
    --role=roles/run.invoker
}

# A topic alone keeps nothing, and a subscription nobody reads is deleted after a month: hence one that never expires.
make_dead_letters() {
  local keep=(
    --ack-deadline="$MESSAGES_ACK_DEADLINE" --message-retention-duration="$DEAD_LETTER_RETENTION" --expiration-period=never)
  existing pubsub topics describe "$1" >/dev/null || run pubsub topics create "$1"
  if existing pubsub subscriptions describe "$1" >/dev/null; then
    run pubsub subscriptions update "$1" "${keep[@]}"
  else
    run pubsub subscriptions create "$1" --topic="$1" "${keep[@]}"
  fi
}

# Pub/Sub moves a dead letter by itself: it must be allowed to publish it here and to acknowledge it there.
grant_dead_letter_publisher() {
  run pubsub topics add-iam-policy-binding "$2" --member="serviceAccount:$PUBSUB_AGENT" --role=roles/pubsub.publisher
  run pubsub subscriptions add-iam-policy-binding "$1" --member="serviceAccount:$PUBSUB_AGENT" --role=roles/pubsub.subscriber
}

# Builds and deploys, unless the same source with the same flags is what runs already: the function is labelled with a stamp
# of both. It waits for a deployment that an earlier, interrupted run has left under way.
deploy_function() {
  local name=$1 entry_point=$2 stamp found look
  shift 2
  set -- "$name" --gen2 --region="$REGION" --runtime="$RUNTIME" --source=. --entry-point="$entry_point" \
    --service-account="$(email "$name")" \
    --build-service-account="projects/$PROJECT_ID/serviceAccounts/$(email "$BUILDER")" \
    --no-allow-unauthenticated "$@" --set-secrets="$SECRET_VARIABLE=$SECRET:$SECRET_VERSION"
  stamp=$(stamp_of_upload "$@")
  look=(functions describe "$name" --gen2 --region="$REGION" --format='value(state,labels.stamp)')
  found=$(existing "${look[@]}" || true)
  while [[ $found == DEPLOYING* ]]; do
    note "$name is being deployed; waiting for that"
    sleep 10
    found=$(existing "${look[@]}" || true)
  done
  if [[ $found == ACTIVE$'\t'$stamp ]]; then
    note "$name runs this source with these settings already."
  else
    run functions deploy "$@" --update-labels="stamp=$stamp"
  fi
}

# The settings given, and those of the importer that are in the environment here, as --set-env-vars wants them: ^;^ makes ; the
# separator where a value has a comma.
variables() {
  local name all='' separator=,
  for name in MIXPANEL_REGION MIXPANEL_PROJECT_ID MIXPANEL_SERVICE_ACCOUNT_USERNAME MIXPANEL_API_URL LOG_LEVEL "${!IMPORT_@}"; do
    case $name in IMPORT_REJECTS | IMPORT_CHECKPOINTS) continue ;; esac
    if [[ ${!name:-} ]]; then set -- "$@" "$name=${!name}"; fi
  done
  if [[ $* == *,* ]]; then separator=';'; fi
  for name in "$@"; do
    [[ $name != *';'* ]] || die "${name%%=*} has a semicolon in it; that cannot be given to a function here"
    all+=$separator$name
  done
  if [[ $separator == ';' ]]; then printf '^;^'; fi
  printf '%s' "${all#?}"
}

# ── Stamps and templates ─────────────────────────────────────────────────────────────────────────────────────────

# Of what would be uploaded (.gcloudignore decides) and the flags: 40 hexadecimal digits, as a label may have.
stamp_of_upload() {
  local file
  if dry; then
    print "gcloud meta list-files-for-upload .  # a stamp of these and of the flags decides whether to deploy"
    echo of-source-and-flags
    return
  fi
  {
    printf '%s\n' "$@"
    gcloud meta list-files-for-upload . | LC_ALL=C sort | while read -r file; do
      printf '%s\n' "$file"
      cat "$file"
    done
  } | digest
}

# A file of monitoring/ with its names filled in; the second argument is the etag of what it replaces.
render() { with_names "$1" | sed "s|{{STAMP}}|$(stamp_of "$1")|g; s|{{ETAG}}|${2:-}|g"; }

stamp_of() { with_names "$1" | digest; }

with_names() {
  sed "s|{{NAME}}|$NAME|g; s|{{METRIC}}|$METRIC|g; s|{{PROJECT}}|$PROJECT_ID|g; s|{{STATE_BUCKET}}|$STATE_BUCKET|g" "$1"
}

digest() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-40; }

# ── Running commands ─────────────────────────────────────────────────────────────────────────────────────────────
# Everything said goes to descriptor 3, because standard output is often what a function returns.

ERRORS=$(mktemp)
trap 'rm -f "$ERRORS"' EXIT
trap 'exit 1' TERM
exec 3>&1
export CLOUDSDK_CORE_DISABLE_PROMPTS=1  # every answer is in the flags

print() { printf '%s\n' "$*" >&3; }
heading() { print; print "# $*"; }
note() { print "# $*"; }

# From anywhere, also inside $(…), where exit would end the subshell alone.
die() {
  printf 'deploy.sh: %s\n' "$*" >&2
  kill -s TERM $$
  exit 1
}

# What dies in earnest is only a line of what a dry run prints.
stop() { if dry; then print "    exit 1"; else die "$@"; fi; }

dry() { [[ $DRY_RUN ]]; }
wants() { [[ " $PARTS " == *" $1 "* ]]; }
email() { echo "$1@$PROJECT_ID.iam.gserviceaccount.com"; }
member() { case $1 in *.gserviceaccount.com) echo "serviceAccount:$1" ;; *) echo "user:$1" ;; esac; }

cloud() { gcloud "$@" --project="$PROJECT_ID"; }

# Looks: prints what the command prints; false if there is no such thing. Any other trouble ends everything.
existing() {
  if dry; then
    show ' ||' "$@"
    return 1
  fi
  cloud "$@" 2>"$ERRORS" </dev/null || {
    was_not_there
    return 1
  }
}

# Asks: prints the answer, or, in a dry run, the one given first.
ask() {
  local placeholder=$1
  shift
  if dry; then
    show '' "$@"
    printf '%s\n' "$placeholder"
    return
  fi
  cloud "$@" 2>"$ERRORS" </dev/null || die "$(cat "$ERRORS")"
}

# Asks what not everybody may know: a refusal is no answer.
run_optional() {
  if dry; then ask "$@"; else cloud "${@:2}" 2>/dev/null </dev/null || true; fi
}

# Changes something.
run() { feed '' '' "$@"; }

# The same with a text, and what it is, on the command's standard input. What was made a moment ago is not at once known to
# all of Google: such refusals are tried again, for about ten minutes.
feed() {
  local what=$1 input=$2 pause
  shift 2
  show "${what:+  # $what}" "$@"
  if dry; then return; fi
  for pause in 5 10 20 30 60 60 120 120 180 0; do
    if printf '%s' "$input" | cloud "$@" 2>&1 >/dev/null | tee "$ERRORS" >&2; then return; fi
    grep -Eq "$NOT_YET" "$ERRORS" || break
    sleep "$pause"
  done
  die "stopped at the command above; once its cause is mended, run this again: it goes on from there"
}

# Takes something away that may be gone already.
undo() {
  show '' "$@"
  if dry; then return; fi
  cloud "$@" >/dev/null 2>"$ERRORS" </dev/null || was_not_there
}

# What failed must have failed because there is no such thing, not because one may not see it, or the network is down.
was_not_there() {
  if grep -Eq 'PERMISSION_DENIED|: 403' "$ERRORS" || ! grep -Eq "$NOT_THERE" "$ERRORS"; then die "$(cat "$ERRORS")"; fi
}

NOT_THERE='NOT_FOUND|not found|does not exist|status=\[404\]|: 404'
NOT_YET='Service account .* does not exist|Eventarc Service Agent|concurrent policy changes|unable to queue the operation'

# Prints a command as one would type it, with its flags on lines of their own if it is long.
show() {
  local end=$1 line=gcloud word separator=' '
  shift
  [[ "$* --project=$PROJECT_ID" =~ .{100} ]] && separator=$' \\\n    '
  for word in "$@" "--project=$PROJECT_ID"; do
    case $word in
      --*=*[!A-Za-z0-9_./:=@,+~%-]*) word="${word%%=*}='${word#*=}'" ;;
      *[!A-Za-z0-9_./:=@,+~%-]*) word="'$word'" ;;
    esac
    case $word in --*) line+=$separator$word ;; *) line+=" $word" ;; esac
  done
  print "$line$end"
}

# ── Arguments ────────────────────────────────────────────────────────────────────────────────────────────────────

read_arguments() {
  VERB=deploy
  DRY_RUN='' ONLY='' NEW_SECRET='' YES=''
  PROJECT_ID=${PROJECT_ID:-} REGION=${REGION:-} SOURCE_BUCKET=${SOURCE_BUCKET:-} SOURCE_TOPIC=${SOURCE_TOPIC:-}
  NAME=${IMPORTER_NAME:-mixpanel} ALERT_EMAIL=${ALERT_EMAIL:-} MIXPANEL_REGION=${MIXPANEL_REGION:-us}
  MIXPANEL_CREDENTIALS=${MIXPANEL_CREDENTIALS:-service-account}
  local argument
  for argument in "$@"; do
    case $argument in
      deploy | destroy) VERB=$argument ;;
      --project=*) PROJECT_ID=${argument#*=} ;;
      --region=*) REGION=${argument#*=} ;;
      --bucket=*) SOURCE_BUCKET=${argument#*=} ;;
      --topic=*) SOURCE_TOPIC=${argument#*=} ;;
      --name=*) NAME=${argument#*=} ;;
      --state-bucket=*) STATE_BUCKET=${argument#*=} ;;
      --alert-email=*) ALERT_EMAIL=${argument#*=} ;;
      --residency=*) MIXPANEL_REGION=${argument#*=} ;;
      --mixpanel-project=*) MIXPANEL_PROJECT_ID=${argument#*=} ;;
      --mixpanel-user=*) MIXPANEL_SERVICE_ACCOUNT_USERNAME=${argument#*=} ;;
      --credentials=*) MIXPANEL_CREDENTIALS=${argument#*=} ;;
      --only=*) ONLY=${argument#*=} ;;
      --dry-run) DRY_RUN=yes ;;
      --new-secret) NEW_SECRET=yes ;;
      --yes) YES=yes ;;
      -h | --help) usage && exit ;;
      *) die "$argument is no flag of this script; ./deploy.sh --help lists them" ;;
    esac
  done
  SOURCE_BUCKET=${SOURCE_BUCKET#gs://}
  SOURCE_BUCKET=${SOURCE_BUCKET%/}
}

check_arguments() {
  [[ $PROJECT_ID ]] || die "which project? --project=…; 'gcloud projects list' shows yours"
  [[ $REGION ]] || die "which region? --region=…, best the one of the bucket; 'gcloud functions regions list' shows all"
  [[ $NAME =~ ^[a-z][a-z0-9-]{0,13}[a-z0-9]$ ]] || die "--name is 2 to 15 lowercase letters, digits and hyphens, from a letter on"
  case $ONLY in
    '') PARTS="${SOURCE_BUCKET:+gcs }${SOURCE_TOPIC:+pubsub }monitoring" ;;
    gcs | pubsub | monitoring) PARTS=$ONLY ;;
    *) die "--only is gcs, pubsub or monitoring" ;;
  esac
  if [[ $VERB == destroy ]]; then
    PARTS=${ONLY:-gcs pubsub monitoring}
    return
  fi
  [[ $ONLY || $SOURCE_BUCKET || $SOURCE_TOPIC ]] || die "what is to be imported? --bucket=… or --topic=… or both"
  if wants gcs; then [[ $SOURCE_BUCKET ]] || die "which bucket? --bucket=…"; fi
  if wants pubsub; then [[ $SOURCE_TOPIC ]] || die "which topic? --topic=…"; fi
  if [[ $ONLY != monitoring ]]; then check_mixpanel; fi
}

check_mixpanel() {
  [[ $MIXPANEL_REGION =~ ^(us|eu|in)$ ]] || die "--residency is us, eu or in"
  case $MIXPANEL_CREDENTIALS in
    service-account)
      SECRET_VARIABLE=MIXPANEL_SERVICE_ACCOUNT_SECRET
      [[ ${MIXPANEL_PROJECT_ID:-} && ${MIXPANEL_SERVICE_ACCOUNT_USERNAME:-} ]] ||
        die "a service account needs --mixpanel-project=… and --mixpanel-user=… (Mixpanel: Organization Settings, Service Accounts)"
      ;;
    project-token) SECRET_VARIABLE=MIXPANEL_PROJECT_TOKEN MIXPANEL_SERVICE_ACCOUNT_USERNAME='' ;;
    api-secret) SECRET_VARIABLE=MIXPANEL_API_SECRET MIXPANEL_SERVICE_ACCOUNT_USERNAME='' ;;
    *) die "--credentials is service-account, project-token or api-secret" ;;
  esac
}

# The tools that everything above uses. A dry run needs none of them.
check_tools() {
  if dry; then return; fi
  command -v gcloud >/dev/null || die "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
  command -v curl >/dev/null || die "curl is not installed"
  [[ $(gcloud version --format='value(alpha,beta)') == *?$'\t'?* ]] ||
    die "gcloud lacks its alpha and beta commands: run 'gcloud components install alpha beta'"
}

read_arguments "$@"
check_arguments
set_names
check_tools
"$VERB"
