# shellcheck shell=bash
# Accounts, and what each may touch.

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
  run storage buckets add-iam-policy-binding "gs://$1" --member="serviceAccount:$2" --role="$3" --condition="${4:-None}"
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
