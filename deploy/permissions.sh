# shellcheck shell=bash
# What the person who deploys must be allowed to do, and the role that allows it.

PERMISSIONS="
  serviceusage.services.enable              roles/serviceusage.serviceUsageAdmin
  resourcemanager.projects.setIamPolicy     roles/resourcemanager.projectIamAdmin
  iam.serviceAccounts.create                roles/iam.serviceAccountAdmin
  iam.serviceAccounts.setIamPolicy          roles/iam.serviceAccountAdmin
  iam.serviceAccounts.actAs                 roles/iam.serviceAccountUser
  secretmanager.secrets.create              roles/secretmanager.admin
  secretmanager.versions.add                roles/secretmanager.admin
  storage.buckets.create                    roles/storage.admin
  storage.buckets.setIamPolicy              roles/storage.admin
  cloudfunctions.functions.create           roles/cloudfunctions.developer
  cloudfunctions.functions.update           roles/cloudfunctions.developer
  run.services.setIamPolicy                 roles/run.admin
  eventarc.triggers.get                     roles/eventarc.viewer
  pubsub.topics.create                      roles/pubsub.admin
  pubsub.subscriptions.update               roles/pubsub.admin
  pubsub.subscriptions.setIamPolicy         roles/pubsub.admin
  logging.logMetrics.create                 roles/logging.configWriter
  monitoring.dashboards.create              roles/monitoring.editor
  monitoring.alertPolicies.create           roles/monitoring.editor
  monitoring.notificationChannels.create    roles/monitoring.editor"

# gcloud has no command that asks what one may do, so this question goes to the API itself. The token goes through a pipe,
# where no list of processes shows it.
check_permissions() {
  local url=https://cloudresourcemanager.googleapis.com/v1/projects/$PROJECT_ID:testIamPermissions
  local names granted permission role missing='' roles=''
  if dry; then
    print "gcloud auth print-access-token | curl $url  # may this account do what follows?"
    return
  fi
  names=$(awk 'NF { printf "%s\"%s\"", comma, $1; comma = "," }' <<<"$PERMISSIONS")
  granted=$(gcloud auth print-access-token | sed 's/.*/header = "Authorization: Bearer &"/' |
    curl --silent --show-error --fail --config - --header 'Content-Type: application/json' \
      --data "{\"permissions\": [$names]}" "$url") || {
    note "Could not ask what $ACCOUNT may do; going on without."
    return 0
  }
  while read -r permission role; do
    if [[ $permission && $granted != *"\"$permission\""* ]]; then
      missing+=$'\n'"  $permission ($role)"
      [[ $roles == *"=$role "* ]] ||
        roles+=$'\n'"  gcloud projects add-iam-policy-binding $PROJECT_ID --member=$(member "$ACCOUNT") --role=$role --condition=None"
    fi
  done <<<"$PERMISSIONS"
  [[ ! $missing ]] ||
    die "$ACCOUNT lacks permissions on project $PROJECT_ID:$missing"$'\n'"An owner of the project can give them:$roles"
}
