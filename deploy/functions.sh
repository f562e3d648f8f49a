# shellcheck shell=bash
# A function: built and deployed when its source or its settings differ.

# Builds and deploys, unless the same source with the same flags is what runs already: the function is labelled with a stamp
# of both.
deploy_function() {
  local name=$1 now=$2 entry_point=$3 stamp labels
  shift 3
  set -- "$name" --gen2 --region="$REGION" --runtime="$RUNTIME" --source=. --entry-point="$entry_point" \
    --service-account="$(email "$name")" \
    --build-service-account="projects/$PROJECT_ID/serviceAccounts/$(email "$BUILDER")" \
    --no-allow-unauthenticated "$@" --set-secrets="$SECRET_VARIABLE=$SECRET:$SECRET_VERSION$(secrets_in "$now")" \
    ${MIN_INSTANCES:+"--min-instances=$MIN_INSTANCES"} \
    ${INGRESS:+"--ingress-settings=$INGRESS"} \
    ${VPC_CONNECTOR:+"--vpc-connector=$VPC_CONNECTOR"} \
    ${EGRESS:+"--egress-settings=$EGRESS"} \
    ${KMS_KEY:+"--kms-key=$KMS_KEY"} \
    ${DOCKER_REPOSITORY:+"--docker-repository=$DOCKER_REPOSITORY"} \
    ${BINARY_AUTHORIZATION:+"--binary-authorization=$BINARY_AUTHORIZATION"}
  labels=${LABELS:+,$LABELS}
  if [[ $name == "$MESSAGES" ]]; then labels+=,billing=$BILLING; fi
  stamp=$(stamp_of_upload "$@" "$labels")
  if [[ $(field "$now" state) == ACTIVE && $(field "$now" labels.stamp) == "$stamp" ]]; then
    note "$name runs this source with these settings already."
  else
    run functions deploy "$@" --update-labels="stamp=$stamp$labels"
  fi
}

# Lines NAME=value as --set-env-vars wants them: with commas between them, or, where a value has one, with what none has.
as_flag() {
  local lines=$1 separator
  for separator in , ';' '|' '#' '@' '%' '~'; do
    if [[ $lines != *"$separator"* ]]; then break; fi
  done
  [[ $lines != *"$separator"* ]] || die "a setting has all of ,;|#@%~ in it; that cannot be given to a function here"
  if [[ $separator != , ]]; then printf '^%s^' "$separator"; fi
  tr '\n' "$separator" <<<"$lines" | sed 's/.$//'
}

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
