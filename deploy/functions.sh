# shellcheck shell=bash
# A function: built and deployed when its source or its settings differ.

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
