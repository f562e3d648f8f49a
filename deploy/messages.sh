# shellcheck shell=bash
# pubsub_import: the function, and the subscription that pushes to it.

deploy_messages() {
  heading "pubsub_import: who it runs as, and what that account may touch"
  make_account "$MESSAGES" "Runs pubsub_import"
  grant_what_both_need "$MESSAGES"

  release_messages

  heading "pubsub_import: who pushes to it, how often, and where messages are kept that it could not take"
  local push
  make_account "$MESSAGES_PUSH" "Pushes messages to pubsub_import"
  may_call "$MESSAGES" "$MESSAGES_PUSH"
  let_pubsub_sign_as "$MESSAGES_PUSH"
  make_dead_letters "$MESSAGES_DEAD_LETTERS"
  push_to "$MESSAGES" "$MESSAGES_PUSH" "$MESSAGES_ACK_DEADLINE" "$MESSAGES_DEAD_LETTERS"
  if [[ $TOPIC_NOW && ${TOPIC_NOW##*/} != "${SOURCE_TOPIC##*/}" ]]; then
    run pubsub snapshots create "$MESSAGES-$(date -u +%Y%m%d-%H%M%S)" --subscription="$MESSAGES"
    run pubsub subscriptions delete "$MESSAGES"
    TOPIC_NOW=''
  fi
  if [[ $TOPIC_NOW ]]; then
    run pubsub subscriptions update "$MESSAGES" "${push[@]}"
  else
    run pubsub subscriptions create "$MESSAGES" --topic="$SOURCE_TOPIC" "${push[@]}"
  fi
  grant_dead_letter_publisher "$MESSAGES" "$MESSAGES_DEAD_LETTERS"
  leave_out_answered
}

release_messages() {
  heading "pubsub_import: the function"
  deploy_function "$MESSAGES" "$MESSAGES_NOW" pubsub_import \
    --trigger-http \
    --timeout="${MESSAGES_TIMEOUT}s" \
    --concurrency="$MESSAGES_CONCURRENCY" \
    --max-instances="$MESSAGES_INSTANCES" \
    --memory="$MESSAGES_MEMORY" \
    --cpu=1 \
    --set-env-vars="$(as_flag "$(wanted_of_messages)")"
  set_billing
}

# Billed by its instances, the function pays no fee for each request, and its processor goes on after an answer. It can be said
# to Cloud Run alone, so it is said again where a deployment has set it back.
set_billing() {
  local found throttled=true
  if [[ $BILLING == instances ]]; then throttled=false; fi
  found=$(ask '' run services describe "$MESSAGES" --region="$REGION" --format='flattened[no-pad](spec.template.metadata.annotations)')
  found=$(field "$found" spec.template.metadata.annotations.run.googleapis.com/cpu-throttling)
  if [[ ${found:-true} != "$throttled" ]]; then
    if [[ $throttled == true ]]; then set -- --cpu-throttling; else set -- --no-cpu-throttling; fi
    run run services update "$MESSAGES" --region="$REGION" "$@"
  fi
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
