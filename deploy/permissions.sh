# shellcheck shell=bash
# Who may do what: three roles, each with what its part of the script needs, and where.
#   deploy    an owner, once, and after an upgrade that says so: everything is made, and every grant
#   release   whoever is on call, and CI: new source and settings for functions that are there, and what watches them
#   rotate    a new secret, and nothing else

DEPLOY_NEEDS="
  serviceusage.services.enable              roles/serviceusage.serviceUsageAdmin       project
  resourcemanager.projects.setIamPolicy     roles/resourcemanager.projectIamAdmin      project
  iam.serviceAccounts.create                roles/iam.serviceAccountAdmin              project
  iam.serviceAccounts.setIamPolicy          roles/iam.serviceAccountAdmin              project
  iam.serviceAccounts.actAs                 roles/iam.serviceAccountUser               project
  secretmanager.secrets.create              roles/secretmanager.admin                  project
  secretmanager.versions.add                roles/secretmanager.admin                  project
  storage.buckets.create                    roles/storage.admin                        project
  storage.buckets.setIamPolicy              roles/storage.admin                        project
  cloudfunctions.functions.create           roles/cloudfunctions.developer             project
  cloudfunctions.functions.update           roles/cloudfunctions.developer             project
  run.services.setIamPolicy                 roles/run.admin                            project
  run.services.update                       roles/run.admin                            project
  eventarc.triggers.get                     roles/eventarc.viewer                      project
  pubsub.topics.create                      roles/pubsub.admin                         project
  pubsub.subscriptions.update               roles/pubsub.admin                         project
  pubsub.subscriptions.setIamPolicy         roles/pubsub.admin                         project
  logging.logMetrics.create                 roles/logging.configWriter                 project
  logging.sinks.update                      roles/logging.configWriter                 project
  monitoring.dashboards.create              roles/monitoring.editor                    project
  monitoring.alertPolicies.create           roles/monitoring.editor                    project
  monitoring.notificationChannels.create    roles/monitoring.editor                    project"

RELEASE_NEEDS="
  resourcemanager.projects.get              roles/browser                              project
  cloudfunctions.functions.get              roles/cloudfunctions.developer             project
  cloudfunctions.functions.update           roles/cloudfunctions.developer             project
  run.services.update                       roles/run.developer                        project
  run.services.get                          roles/run.developer                        project
  pubsub.subscriptions.get                  roles/pubsub.viewer                        project
  logging.logMetrics.update                 roles/logging.configWriter                 project
  monitoring.dashboards.update              roles/monitoring.editor                    project
  monitoring.alertPolicies.update           roles/monitoring.editor                    project
  secretmanager.versions.list               roles/secretmanager.viewer                 secret
  iam.serviceAccounts.actAs                 roles/iam.serviceAccountUser               accounts"

ROTATE_NEEDS="
  resourcemanager.projects.get              roles/browser                              project
  cloudfunctions.functions.get              roles/cloudfunctions.viewer                project
  run.services.update                       roles/run.developer                        project
  secretmanager.versions.add                roles/secretmanager.secretVersionManager   secret
  secretmanager.versions.list               roles/secretmanager.secretVersionManager   secret
  iam.serviceAccounts.actAs                 roles/iam.serviceAccountUser               accounts"

JOB_NEEDS="
  cloudbuild.builds.create                  roles/cloudbuild.builds.editor             project
  artifactregistry.repositories.create      roles/artifactregistry.admin               project
  run.jobs.create                           roles/run.admin                            project
  run.jobs.run                              roles/run.admin                            project"

LOOKING_NEEDS="
  resourcemanager.projects.get              roles/browser                              project
  cloudfunctions.functions.get              roles/cloudfunctions.viewer                project
  pubsub.subscriptions.get                  roles/pubsub.viewer                        project"

needs_of() {
  case $1 in
    diff) echo "$LOOKING_NEEDS" ;;
    job) echo "$DEPLOY_NEEDS$JOB_NEEDS" ;;
    release) echo "$RELEASE_NEEDS" ;;
    rotate) echo "$ROTATE_NEEDS" ;;
    *) echo "$DEPLOY_NEEDS" ;;
  esac
}

# The accounts that a function is deployed with.
accounts_of_functions() {
  if wants gcs; then echo "$FILES $FILES_TRIGGER"; fi
  if wants pubsub; then echo "$MESSAGES"; fi
  if wants gcs || wants pubsub; then echo "$BUILDER"; fi
}

check_permissions() {
  local needs account
  MISSING='' GRANTS=''
  needs=$(needs_of "$VERB")
  check_on project "https://cloudresourcemanager.googleapis.com/v1/projects/$PROJECT_ID" "$PROJECT_ID" "$needs"
  if [[ $needs == *secret$'\n'* ]]; then
    check_on secret "https://secretmanager.googleapis.com/v1/projects/$PROJECT_ID/secrets/$SECRET" "$SECRET" "$needs"
  fi
  if [[ $needs == *accounts ]]; then
    for account in $(accounts_of_functions); do
      check_on accounts "https://iam.googleapis.com/v1/projects/$PROJECT_ID/serviceAccounts/$(email "$account")" \
        "$(email "$account")" "$needs"
    done
  fi
  [[ ! $MISSING ]] ||
    die "$ACCOUNT lacks permissions on project $PROJECT_ID:$MISSING"$'\n'"An owner of the project can give them:$GRANTS"
}

# gcloud has no command that asks what one may do, so this question goes to the API itself. The token goes through a pipe,
# where no list of processes shows it.
check_on() {
  local kind=$1 url=$2:testIamPermissions resource=$3 needs names granted permission role
  needs=$(awk -v kind="$kind" '$3 == kind' <<<"$4")
  if dry; then
    print "gcloud auth print-access-token | curl $url  # may this account do what follows?"
    return
  fi
  names=$(awk 'NF { printf "%s\"%s\"", comma, $1; comma = "," }' <<<"$needs")
  granted=$(gcloud auth print-access-token | sed 's/.*/header = "Authorization: Bearer &"/' |
    curl --silent --show-error --fail --config - --header 'Content-Type: application/json' \
      --data "{\"permissions\": [$names]}" "$url") || {
    note "Could not ask what $ACCOUNT may do; going on without."
    return 0
  }
  while read -r permission role _; do
    if [[ $permission && $granted != *"\"$permission\""* ]]; then
      MISSING+=$'\n'"  $permission ($role)"
      [[ $GRANTS == *"$resource "*"=$role"* ]] || GRANTS+=$'\n'"  gcloud $(grant_of "$kind" "$resource" "$(member "$ACCOUNT")" "$role") --project=$PROJECT_ID"
    fi
  done <<<"$needs"
}

# The words of the command that grants a role where it is needed.
grant_of() {
  case $1 in
    project) echo "projects add-iam-policy-binding $2 --member=$3 --role=$4 --condition=None" ;;
    secret) echo "secrets add-iam-policy-binding $2 --member=$3 --role=$4 --condition=None" ;;
    accounts) echo "iam service-accounts add-iam-policy-binding $2 --member=$3 --role=$4 --condition=None" ;;
  esac
}

# Gives somebody one of the two smaller roles.
grant_role() {
  local verb=$1 member=$2 role kind resource words
  heading "Who may $verb: $member"
  while read -r role kind; do
    for resource in $(resources_of "$kind"); do
      read -ra words <<<"$(grant_of "$kind" "$resource" "$member" "$role")"
      run "${words[@]}"
    done
  done < <(needs_of "$verb" | awk 'NF && !seen[$2, $3]++ { print $2, $3 }')
}

resources_of() {
  local account
  case $1 in
    project) echo "$PROJECT_ID" ;;
    secret) echo "$SECRET" ;;
    accounts) for account in $(accounts_of_functions); do email "$account"; done ;;
  esac
}
