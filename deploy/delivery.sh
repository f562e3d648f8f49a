# shellcheck shell=bash
# How often a subscription delivers, and where it keeps what nobody could take.

REDELIVERY=(
  --max-delivery-attempts="$DELIVERY_ATTEMPTS" --min-retry-delay="$MIN_RETRY_DELAY" --max-retry-delay="$MAX_RETRY_DELAY"
  --message-retention-duration="$RETENTION" --expiration-period=never)

# Fills `push`, an array of the caller's, with how a subscription pushes to a function.
# Function, account that pushes, acknowledgement deadline, topic of dead letters.
push_to() {
  local url
  url=$(ask "https://$1-PROJECT_NUMBER.$REGION.run.app" \
    functions describe "$1" --gen2 --region="$REGION" --format='value(serviceConfig.uri)')
  push=(
    --push-endpoint="$url" --push-auth-service-account="$(email "$2")" --push-auth-token-audience="$url"
    --ack-deadline="$3" --dead-letter-topic="$4" "${REDELIVERY[@]}")
}

# What is published to it stays in the region.
make_topic() {
  local keep=(--message-storage-policy-allowed-regions="$REGION")
  if existing pubsub topics describe "$1" >/dev/null; then
    run pubsub topics update "$1" "${keep[@]}"
  else
    run pubsub topics create "$1" "${keep[@]}" ${KMS_KEY:+"--topic-encryption-key=$KMS_KEY"}
  fi
}

# A topic alone keeps nothing, and a subscription nobody reads is deleted after a month: hence one that never expires.
make_dead_letters() {
  local keep=(
    --ack-deadline="$MESSAGES_ACK_DEADLINE" --message-retention-duration="$DEAD_LETTER_RETENTION" --expiration-period=never
    --min-retry-delay="$MIN_RETRY_DELAY" --max-retry-delay="$MAX_RETRY_DELAY")  # for the day when they are pushed
  make_topic "$1"
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
