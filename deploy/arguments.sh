# shellcheck shell=bash
# What the script is told: by a file of settings or by the environment, and by flags, which come before both.

# The variables behind the flags. With --config the file has them, and what the environment here has of them is ignored.
VARIABLES="PROJECT_ID REGION SOURCE_BUCKET SOURCE_TOPIC IMPORTER_NAME STATE_BUCKET ALERT_EMAIL ALERT_SILENCE NOTIFICATIONS
  MIXPANEL_CREDENTIALS BILLING LABELS MIN_INSTANCES INGRESS VPC_CONNECTOR EGRESS KMS_KEY DOCKER_REPOSITORY
  BINARY_AUTHORIZATION REGIONAL_LOGS"

# The importer's own, which the functions get.
OURS='^(IMPORT_[A-Z_]+|MIXPANEL_(REGION|PROJECT_ID|SERVICE_ACCOUNT_USERNAME|API_URL)|LOG_LEVEL)$'

read_arguments() {
  local argument name
  VERB=deploy CONFIG='' UNSET='' JOB_TASKS=2 JOB_WORDS=()
  for argument in "$@"; do
    case $argument in --config=*) CONFIG=${argument#*=} ;; esac
  done
  if [[ $CONFIG ]]; then
    for name in $VARIABLES "${!IMPORT_@}" MIXPANEL_REGION MIXPANEL_PROJECT_ID MIXPANEL_SERVICE_ACCOUNT_USERNAME \
      MIXPANEL_API_URL LOG_LEVEL; do
      unset "$name"
    done
    read_config "$CONFIG"
  fi
  DRY_RUN='' ONLY='' NEW_SECRET='' YES='' REPLACE_TRIGGER='' RELEASER='' ROTATOR=''
  for name in $VARIABLES; do
    printf -v "$name" '%s' "${!name:-}"
  done
  while (($#)); do
    if [[ $1 == -- ]]; then
      JOB_WORDS=("${@:2}")
      break
    fi
    read_argument "$1"
    shift
  done
  NAME=${IMPORTER_NAME:-mixpanel}
  SOURCE_BUCKET=${SOURCE_BUCKET#gs://}
  SOURCE_BUCKET=${SOURCE_BUCKET%/}
}

read_argument() {
  local value=${1#*=}
  case $1 in
    deploy | release | rotate | diff | job | destroy) VERB=$1 ;;
    --config=*) ;;
    --project=*) PROJECT_ID=$value ;;
    --region=*) REGION=$value ;;
    --bucket=*) SOURCE_BUCKET=$value ;;
    --topic=*) SOURCE_TOPIC=$value ;;
    --name=*) IMPORTER_NAME=$value ;;
    --state-bucket=*) STATE_BUCKET=$value ;;
    --alert-email=*) ALERT_EMAIL=$value ;;
    --alert-silence=*) ALERT_SILENCE=$value ;;
    --residency=*) MIXPANEL_REGION=$value ;;
    --mixpanel-project=*) MIXPANEL_PROJECT_ID=$value ;;
    --mixpanel-user=*) MIXPANEL_SERVICE_ACCOUNT_USERNAME=$value ;;
    --credentials=*) MIXPANEL_CREDENTIALS=$value ;;
    --time-limit=*) IMPORT_TIME_LIMIT=$value ;;
    --notifications) NOTIFICATIONS=yes ;;
    --billing=*) BILLING=$value ;;
    --labels=*) LABELS=$value ;;
    --min-instances=*) MIN_INSTANCES=$value ;;
    --ingress=*) INGRESS=$value ;;
    --vpc-connector=*) VPC_CONNECTOR=$value ;;
    --egress=*) EGRESS=$value ;;
    --kms-key=*) KMS_KEY=$value ;;
    --docker-repository=*) DOCKER_REPOSITORY=$value ;;
    --binary-authorization=*) BINARY_AUTHORIZATION=$value ;;
    --regional-logs) REGIONAL_LOGS=yes ;;
    --tasks=*) JOB_TASKS=$value ;;
    --unset=*) UNSET+=" ${value//,/ }" ;;
    --replace-trigger) REPLACE_TRIGGER=yes ;;
    --releaser=*) RELEASER=$value ;;
    --rotator=*) ROTATOR=$value ;;
    --only=*) ONLY=$value ;;
    --dry-run) DRY_RUN=yes ;;
    --new-secret) NEW_SECRET=yes ;;
    --yes) YES=yes ;;
    -h | --help) usage && exit ;;
    *) die "$1 is no flag of this script; ./deploy.sh --help lists them" ;;
  esac
}

# Lines NAME=value, with or without quotes; the same that `python -m importer --env-file` reads.
read_config() {
  local line name value number=0
  [[ -r $1 ]] || die "--config: $1 cannot be read"
  while IFS= read -r line || [[ $line ]]; do
    number=$((number + 1))
    [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
    [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=[[:space:]]*(.*[^[:space:]])?[[:space:]]*$ ]] ||
      die "$1, line $number is not NAME=value"
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]:-}
    [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
    [[ ! $name =~ (SECRET|TOKEN)$ ]] || die "$1, line $number: a secret does not belong into a file; it is asked for, once"
    [[ $name =~ $OURS || " "$VARIABLES" " =~ [[:space:]]$name[[:space:]] ]] ||
      die "$1, line $number: $name is no setting of this script or of the importer"
    printf -v "$name" '%s' "$value"
  done <"$1"
}

check_arguments() {
  local name
  [[ $PROJECT_ID ]] || die "which project? --project=…; 'gcloud projects list' shows yours"
  [[ $REGION ]] || die "which region? --region=…, best the one of the bucket; 'gcloud functions regions list' shows all"
  [[ $NAME =~ ^[a-z][a-z0-9-]{0,13}[a-z0-9]$ ]] || die "--name is 2 to 15 lowercase letters, digits and hyphens, from a letter on"
  [[ ${MIXPANEL_REGION:-us} =~ ^(us|eu|in)$ ]] || die "--residency is us, eu or in"
  [[ ${MIXPANEL_CREDENTIALS:-api-secret} =~ ^(service-account|project-token|api-secret)$ ]] ||
    die "--credentials is service-account, project-token or api-secret"
  [[ ${IMPORT_TIME_LIMIT:-60} =~ ^[1-9][0-9]{0,2}$ ]] && ((${IMPORT_TIME_LIMIT:-60} <= 540)) ||
    die "--time-limit is a number of seconds, 540 at most"
  [[ ${ALERT_SILENCE:-1} =~ ^([1-9]|1[0-9]|2[0-4])$ ]] || die "--alert-silence is a number of hours, 24 at most"
  [[ $JOB_TASKS =~ ^[1-9][0-9]?$ ]] || die "--tasks is a number, 99 at most"
  [[ ${BILLING:-requests} =~ ^(instances|requests)$ ]] || die "--billing is instances or requests"
  [[ ! $KMS_KEY || $DOCKER_REPOSITORY ]] || die "--kms-key needs --docker-repository=… too, one that is encrypted with the same key"
  for name in $UNSET; do
    [[ ! ${!name:-} ]] || die "$name is given as ${!name}, and is to be unset: which is meant?"
  done
  case $ONLY in
    '') PARTS="${SOURCE_BUCKET:+gcs }${SOURCE_TOPIC:+pubsub }monitoring" ;;
    gcs | pubsub | monitoring) PARTS=$ONLY ;;
    *) die "--only is gcs, pubsub or monitoring" ;;
  esac
  case $VERB in
    deploy) check_sources_named && check_mixpanel_named ;;
    job) PARTS="gcs pubsub" ;;
    destroy | rotate) PARTS=${ONLY:-gcs pubsub monitoring} ;;
    *) [[ $SOURCE_BUCKET || $SOURCE_TOPIC ]] || PARTS=${ONLY:-gcs pubsub monitoring} ;;
  esac
}

check_sources_named() {
  [[ $ONLY || $SOURCE_BUCKET || $SOURCE_TOPIC ]] || die "what is to be imported? --bucket=… or --topic=… or both"
  if wants gcs; then [[ $SOURCE_BUCKET ]] || die "which bucket? --bucket=…"; fi
  if wants pubsub; then [[ $SOURCE_TOPIC ]] || die "which topic? --topic=…"; fi
}

check_mixpanel_named() {
  if [[ $ONLY == monitoring || ${MIXPANEL_CREDENTIALS:-service-account} != service-account ]]; then return; fi
  [[ ${MIXPANEL_PROJECT_ID:-} && ${MIXPANEL_SERVICE_ACCOUNT_USERNAME:-} ]] ||
    die "a service account needs --mixpanel-project=… and --mixpanel-user=… (Mixpanel: Organization Settings, Service Accounts)"
}

# The tools that everything else uses. A dry run needs none of them.
check_tools() {
  if dry; then return; fi
  command -v gcloud >/dev/null || die "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
  command -v curl >/dev/null || die "curl is not installed"
  [[ $(gcloud version --format='value(alpha,beta)') == *?$'\t'?* ]] ||
    die "gcloud lacks its alpha and beta commands: run 'gcloud components install alpha beta'"
}
