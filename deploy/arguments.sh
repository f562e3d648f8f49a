# shellcheck shell=bash
# What the script is told.

read_arguments() {
  VERB=deploy
  DRY_RUN='' ONLY='' NEW_SECRET='' YES=''
  PROJECT_ID=${PROJECT_ID:-} REGION=${REGION:-} SOURCE_BUCKET=${SOURCE_BUCKET:-} SOURCE_TOPIC=${SOURCE_TOPIC:-}
  NAME=${IMPORTER_NAME:-mixpanel} ALERT_EMAIL=${ALERT_EMAIL:-} MIXPANEL_REGION=${MIXPANEL_REGION:-us}
  MIXPANEL_CREDENTIALS=${MIXPANEL_CREDENTIALS:-service-account}
  local argument
  for argument in "$@"; do
    case $argument in
      deploy | destroy) VERB=$argument ;;
      --project=*) PROJECT_ID=${argument#*=} ;;
      --region=*) REGION=${argument#*=} ;;
      --bucket=*) SOURCE_BUCKET=${argument#*=} ;;
      --topic=*) SOURCE_TOPIC=${argument#*=} ;;
      --name=*) NAME=${argument#*=} ;;
      --state-bucket=*) STATE_BUCKET=${argument#*=} ;;
      --alert-email=*) ALERT_EMAIL=${argument#*=} ;;
      --residency=*) MIXPANEL_REGION=${argument#*=} ;;
      --mixpanel-project=*) MIXPANEL_PROJECT_ID=${argument#*=} ;;
      --mixpanel-user=*) MIXPANEL_SERVICE_ACCOUNT_USERNAME=${argument#*=} ;;
      --credentials=*) MIXPANEL_CREDENTIALS=${argument#*=} ;;
      --only=*) ONLY=${argument#*=} ;;
      --dry-run) DRY_RUN=yes ;;
      --new-secret) NEW_SECRET=yes ;;
      --yes) YES=yes ;;
      -h | --help) usage && exit ;;
      *) die "$argument is no flag of this script; ./deploy.sh --help lists them" ;;
    esac
  done
  SOURCE_BUCKET=${SOURCE_BUCKET#gs://}
  SOURCE_BUCKET=${SOURCE_BUCKET%/}
}

check_arguments() {
  [[ $PROJECT_ID ]] || die "which project? --project=…; 'gcloud projects list' shows yours"
  [[ $REGION ]] || die "which region? --region=…, best the one of the bucket; 'gcloud functions regions list' shows all"
  [[ $NAME =~ ^[a-z][a-z0-9-]{0,13}[a-z0-9]$ ]] || die "--name is 2 to 15 lowercase letters, digits and hyphens, from a letter on"
  case $ONLY in
    '') PARTS="${SOURCE_BUCKET:+gcs }${SOURCE_TOPIC:+pubsub }monitoring" ;;
    gcs | pubsub | monitoring) PARTS=$ONLY ;;
    *) die "--only is gcs, pubsub or monitoring" ;;
  esac
  if [[ $VERB == destroy ]]; then
    PARTS=${ONLY:-gcs pubsub monitoring}
    return
  fi
  [[ $ONLY || $SOURCE_BUCKET || $SOURCE_TOPIC ]] || die "what is to be imported? --bucket=… or --topic=… or both"
  if wants gcs; then [[ $SOURCE_BUCKET ]] || die "which bucket? --bucket=…"; fi
  if wants pubsub; then [[ $SOURCE_TOPIC ]] || die "which topic? --topic=…"; fi
  if [[ $ONLY != monitoring ]]; then check_mixpanel; fi
}

check_mixpanel() {
  [[ $MIXPANEL_REGION =~ ^(us|eu|in)$ ]] || die "--residency is us, eu or in"
  case $MIXPANEL_CREDENTIALS in
    service-account)
      SECRET_VARIABLE=MIXPANEL_SERVICE_ACCOUNT_SECRET
      [[ ${MIXPANEL_PROJECT_ID:-} && ${MIXPANEL_SERVICE_ACCOUNT_USERNAME:-} ]] ||
        die "a service account needs --mixpanel-project=… and --mixpanel-user=… (Mixpanel: Organization Settings, Service Accounts)"
      ;;
    project-token) SECRET_VARIABLE=MIXPANEL_PROJECT_TOKEN MIXPANEL_SERVICE_ACCOUNT_USERNAME='' ;;
    api-secret) SECRET_VARIABLE=MIXPANEL_API_SECRET MIXPANEL_SERVICE_ACCOUNT_USERNAME='' ;;
    *) die "--credentials is service-account, project-token or api-secret" ;;
  esac
}

# The tools that everything above uses. A dry run needs none of them.
check_tools() {
  if dry; then return; fi
  command -v gcloud >/dev/null || die "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
  command -v curl >/dev/null || die "curl is not installed"
  [[ $(gcloud version --format='value(alpha,beta)') == *?$'\t'?* ]] ||
    die "gcloud lacks its alpha and beta commands: run 'gcloud components install alpha beta'"
}
