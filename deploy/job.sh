# shellcheck shell=bash
# A backfill as a Cloud Run job: several tasks that share the work by themselves, for hours or days, with nobody watching.

job() {
  local bucket image
  bucket=${JOB_WORDS[0]:-}
  [[ $bucket == gs://* ]] || die "what is to be imported? ./deploy.sh job … -- gs://my-archive/events/ --days=365"
  bucket=$(cut -d / -f 3 <<<"$bucket")
  check_project
  enable_apis
  look
  settle
  if ! dry && [[ $SECRET_VARIABLE == MIXPANEL_SERVICE_ACCOUNT_SECRET && $(wanted_of_job) != *MIXPANEL_SERVICE_ACCOUNT_USERNAME=* ]]; then
    die "a service account needs --mixpanel-project=… and --mixpanel-user=… (Mixpanel: Organization Settings, Service Accounts)"
  fi
  heading "What is to be imported"
  existing storage buckets describe "gs://$bucket" --format='value(location)' >/dev/null ||
    stop "there is no bucket gs://$bucket"
  keep_secret
  make_state_bucket
  make_builder

  heading "The job: who it runs as, and what that account may touch"
  make_account "$JOB" "Runs the backfill"
  grant_on_bucket "$bucket" "$(email "$JOB")" roles/storage.objectViewer
  grant_what_both_need "$JOB"

  image=$REGION-docker.pkg.dev/$PROJECT_ID/$JOB/importer:$(stamp_of_upload "$(cat Dockerfile deploy/image.yaml)")
  build_image "$image"

  heading "The job: $JOB_TASKS tasks, each of which begins with a share of its own; what one leaves, the others take"
  run run jobs deploy "$JOB" --region="$REGION" --image="$image" --service-account="$(email "$JOB")" \
    --tasks="$JOB_TASKS" --parallelism="$JOB_TASKS" --max-retries=3 --task-timeout=24h --memory=512Mi --cpu=1 \
    --set-secrets="$SECRET_VARIABLE=$SECRET:$SECRET_VERSION" \
    --set-env-vars="$(as_flag "$(wanted_of_job)")" \
    --args="$(as_flag "$(printf '%s\n' backfill "${JOB_WORDS[@]}" --yes)")"
  run run jobs execute "$JOB" --region="$REGION"
  note "It runs on its own now. It may be stopped, and the same command goes on from there:"
  note "  gcloud run jobs executions list --job=$JOB --region=$REGION --project=$PROJECT_ID"
  note "  gcloud logging read 'resource.type=cloud_run_job AND jsonPayload.kind=import' --project=$PROJECT_ID --limit=20"
}

# What the job is not told, it has from a function: the mapping above all.
wanted_of_job() {
  wanted "${FILES_NOW:-$MESSAGES_NOW}" "IMPORT_REJECTS=$REJECTS" "IMPORT_CHECKPOINTS=gs://$STATE_BUCKET/checkpoints" |
    grep -v '^IMPORT_TIME_LIMIT='
}

# The image is tagged with a stamp of what it is built from, so it is built once.
build_image() {
  heading "The job: its image"
  existing artifacts repositories describe "$JOB" --location="$REGION" >/dev/null ||
    run artifacts repositories create "$JOB" --repository-format=docker --location="$REGION" \
      ${KMS_KEY:+"--kms-key=$KMS_KEY"}
  grant_on_bucket "$STATE_BUCKET" "$(email "$BUILDER")" roles/storage.objectViewer \
    "expression=resource.name.startsWith(\"projects/_/buckets/$STATE_BUCKET/objects/sources/\"),title=sources"
  existing artifacts docker images describe "$1" >/dev/null ||
    run builds submit . --config=deploy/image.yaml --ignore-file=deploy/image.gcloudignore --region="$REGION" \
      --substitutions="_IMAGE=$1" --gcs-source-staging-dir="gs://$STATE_BUCKET/sources" \
      --service-account="projects/$PROJECT_ID/serviceAccounts/$(email "$BUILDER")"
}

destroy_job() {
  heading "The job of a backfill, and its image"
  undo run jobs delete "$JOB" --region="$REGION"
  undo artifacts repositories delete "$JOB" --location="$REGION"
  ungrant_on_bucket "$STATE_BUCKET" "$(email "$JOB")" roles/storage.objectUser
  undo iam service-accounts delete "$(email "$JOB")"
}
