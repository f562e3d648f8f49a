# shellcheck shell=bash
# What both functions stand on: the project, its services, the secret, the state bucket, the account that builds.

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
  if wants gcs && [[ ! $NOTIFICATIONS ]]; then
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

# For those who may not touch the secret: the version that is newest.
find_secret() {
  SECRET_VERSION=$(newest_secret)
  if dry; then SECRET_VERSION=1; fi
  [[ $SECRET_VERSION ]] || die "the secret $SECRET has no version that is enabled: './deploy.sh rotate …' puts one in"
}

# A new secret, and the functions on it. The running instances finish what they have with the old one.
add_secret() {
  heading "A new secret"
  feed "the secret" "$(read_secret)" secrets versions add "$SECRET" --data-file=-
  find_secret
  heading "The functions, on the new secret"
  if dry || [[ $FILES_NOW ]]; then use_secret "$FILES"; fi
  if dry || [[ $MESSAGES_NOW ]]; then use_secret "$MESSAGES"; fi
}

use_secret() {
  run run services update "$1" --region="$REGION" --update-secrets="$SECRET_VARIABLE=$SECRET:$SECRET_VERSION"
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
  local key=(${KMS_KEY:+"--default-encryption-key=$KMS_KEY"})
  local settings=(--uniform-bucket-level-access --public-access-prevention --lifecycle-file=monitoring/lifecycle.json)
  if existing storage buckets describe "gs://$STATE_BUCKET" >/dev/null; then
    run storage buckets update "gs://$STATE_BUCKET" "${settings[@]}" ${key[@]+"${key[@]}"}
  else
    run storage buckets create "gs://$STATE_BUCKET" --location="$REGION" "${settings[@]}" ${key[@]+"${key[@]}"}
  fi
  if [[ $LABELS ]]; then run storage buckets update "gs://$STATE_BUCKET" --update-labels="$LABELS"; fi
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
