# shellcheck shell=bash
# gcs_import: the function, and what hands it objects: Eventarc, or the bucket's own notifications on a topic.

deploy_files() {
  heading "gcs_import: who it runs as, and what that account may touch"
  make_account "$FILES" "Runs gcs_import"
  grant_on_bucket "$SOURCE_BUCKET" "$(email "$FILES")" roles/storage.objectViewer
  grant_what_both_need "$FILES"
  if [[ $NOTIFICATIONS ]]; then deploy_notified; else deploy_triggered; fi
}

deploy_triggered() {
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

# The bucket may belong to another project; what it writes to, pushes and dead letters are all here.
deploy_notified() {
  local push owner topic=projects/$PROJECT_ID/topics/$FILES
  release_files

  heading "gcs_import: who pushes to it, how often, and where announcements are kept that it could not take"
  make_account "$FILES_TRIGGER" "Hands events to gcs_import"
  may_call "$FILES" "$FILES_TRIGGER"
  let_pubsub_sign_as "$FILES_TRIGGER"
  make_dead_letters "$FILES_DEAD_LETTERS"
  make_topic "$FILES"
  push_to "$FILES" "$FILES_TRIGGER" "$FILES_ACK_DEADLINE" "$FILES_DEAD_LETTERS"
  if [[ $FILES_TOPIC ]]; then
    run pubsub subscriptions update "$FILES" "${push[@]}"
  else
    run pubsub subscriptions create "$FILES" --topic="$FILES" "${push[@]}"
  fi
  grant_dead_letter_publisher "$FILES" "$FILES_DEAD_LETTERS"

  heading "gcs_import: the bucket's announcements"
  ask '' storage service-agent >/dev/null  # which makes it, if it is not there yet
  owner=$(ask PROJECT_NUMBER storage buckets describe "gs://$SOURCE_BUCKET" --raw --format='value(projectNumber)')
  run pubsub topics add-iam-policy-binding "$FILES" --role=roles/pubsub.publisher \
    --member="serviceAccount:service-$owner@gs-project-accounts.iam.gserviceaccount.com"
  if [[ ! $(notification) ]]; then
    run storage buckets notifications create "gs://$SOURCE_BUCKET" --topic="$topic" --event-types=OBJECT_FINALIZE \
      --payload-format=json --skip-topic-setup
  fi
}

# The name of the bucket's notification that goes to our topic, if there is one.
notification() {
  ask '' storage buckets notifications list "gs://$SOURCE_BUCKET" \
    --format='value("Notification Configuration".id,"Notification Configuration".topic)' |
    awk -F '\t' -v bucket="$SOURCE_BUCKET" -v topic="//pubsub.googleapis.com/projects/$PROJECT_ID/topics/$FILES" '
      $2 == topic { print "projects/_/buckets/" bucket "/notificationConfigs/" $1; exit }'
}

release_files() {
  heading "gcs_import: the function"
  local trigger=(--trigger-http)
  if [[ ! $NOTIFICATIONS ]]; then
    trigger=(
      --trigger-event-filters="type=google.cloud.storage.object.v1.finalized,bucket=$SOURCE_BUCKET"
      --trigger-location="$BUCKET_LOCATION"
      --trigger-service-account="$(email "$FILES_TRIGGER")"
      --retry)
  fi
  deploy_function "$FILES" "$FILES_NOW" gcs_import "${trigger[@]}" \
    --timeout="${FILES_TIMEOUT}s" \
    --concurrency="$FILES_CONCURRENCY" \
    --max-instances="$FILES_INSTANCES" \
    --memory="$FILES_MEMORY" \
    --cpu=1 \
    --set-env-vars="$(as_flag "$(wanted_of_files)")"
}

# What notifications announced waits in a snapshot, for which their topic has to stay. What waits in Eventarc's goes with it.
destroy_files() {
  local notification
  heading "gcs_import, and its trigger with it"
  if [[ $FILES_TOPIC ]]; then
    notification=$(if [[ $SOURCE_BUCKET ]]; then notification; fi)
    if [[ $notification ]]; then undo storage buckets notifications delete "$notification"; fi
    run pubsub snapshots create "$FILES-$(date -u +%Y%m%d-%H%M%S)" --subscription="$FILES"
    undo pubsub subscriptions delete "$FILES"
  fi
  undo functions delete "$FILES" --gen2 --region="$REGION"
  if [[ $SOURCE_BUCKET ]]; then
    ungrant_on_bucket "$SOURCE_BUCKET" "$(email "$FILES")" roles/storage.objectViewer
  fi
  ungrant_on_bucket "$STATE_BUCKET" "$(email "$FILES")" roles/storage.objectUser
  ungrant_on_project "$(email "$FILES_TRIGGER")" roles/eventarc.eventReceiver
  undo iam service-accounts delete "$(email "$FILES")"
  undo iam service-accounts delete "$(email "$FILES_TRIGGER")"
}
