# shellcheck shell=bash
# gcs_import: the function, and the trigger that hands it objects.

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

  release_files
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

release_files() {
  heading "gcs_import: the function"
  deploy_function "$FILES" "$FILES_NOW" gcs_import \
    --trigger-event-filters="type=google.cloud.storage.object.v1.finalized,bucket=$SOURCE_BUCKET" \
    --trigger-location="$BUCKET_LOCATION" \
    --trigger-service-account="$(email "$FILES_TRIGGER")" \
    --retry \
    --timeout="${FILES_TIMEOUT}s" \
    --concurrency="$FILES_CONCURRENCY" \
    --max-instances="$FILES_INSTANCES" \
    --memory="$FILES_MEMORY" \
    --cpu=1 \
    --set-env-vars="$(as_flag "$(wanted_of_files)")"
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
