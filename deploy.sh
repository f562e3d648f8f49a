#!/usr/bin/env bash
#
# Puts the importer into a Google Cloud project, or takes it away again.
#
# It looks at what is there, makes what is missing and changes what differs: run it again after a change, or after it
# stopped half-way, and it ends in the same state. What it makes and why is written beside each step;
# `--dry-run` prints the commands and runs none of them.

set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'END'
Usage: ./deploy.sh [deploy|release|rotate|diff|job|destroy] [flags]

  deploy     everything: accounts, grants, triggers, the secret, the functions, monitoring. An owner runs it, once
  release    new source and settings for the functions that are there, and monitoring: on call, or in CI
  rotate     a new secret, and the functions on it
  diff       shows what deploying would change in the functions, and changes nothing
  job        makes and runs a backfill as a Cloud Run job; what it is to import stands behind --, as for 'backfill':
             ./deploy.sh job --config=production.env --tasks=2 -- gs://my-archive/events/ --days=365
  destroy    takes it all away but your data

What to import, and where it runs (each flag can also be set as the variable behind it):
  --config=FILE                             lines NAME=value: all variables named here, and the importer's own
  --project=ID             PROJECT_ID       the Google Cloud project
  --region=REGION          REGION           where the functions run, such as europe-west1
  --bucket=BUCKET          SOURCE_BUCKET    import the objects written to this bucket
  --topic=TOPIC            SOURCE_TOPIC     import the messages published to this topic
  --notifications          NOTIFICATIONS    hear of objects by the bucket's own notifications instead of Eventarc: for a
                                            bucket of another project, and where nothing waiting may be lost by 'destroy'
  --name=NAME              IMPORTER_NAME    first word of everything made (mixpanel)
  --state-bucket=BUCKET    STATE_BUCKET     keeps rejects and checkpoints (PROJECT-NAME)
  --alert-email=ADDRESS    ALERT_EMAIL      who hears of an alert
  --alert-silence=HOURS    ALERT_SILENCE    alert as well when nothing at all is imported for so long
  --time-limit=SECONDS     IMPORT_TIME_LIMIT   for one object, at a time (540)

  --billing=KIND           BILLING          pubsub_import is billed by 'instances' (the default) or by 'requests', which is
                                            cheaper below about five million messages a month

Your project's rules (each is handed on to gcloud, and stays where it is not said again):
  --labels=KEY=VALUE,…     LABELS           on the functions and the state bucket
  --min-instances=N        MIN_INSTANCES    instances that are always there
  --ingress=KIND           INGRESS          all, internal-only or internal-and-gclb
  --vpc-connector=NAME     VPC_CONNECTOR    the way out, with
  --egress=KIND            EGRESS           all or private-ranges-only
  --kms-key=KEY            KMS_KEY          encrypts functions, state bucket and topics; needs a repository, too
  --docker-repository=REPO DOCKER_REPOSITORY    where the functions' images are kept
  --binary-authorization=POLICY  BINARY_AUTHORIZATION    checks images before they run
  --regional-logs          REGIONAL_LOGS    keep the log in a log bucket of the region

The Mixpanel project:
  --residency=us|eu|in     MIXPANEL_REGION                      where its data lives (us)
  --mixpanel-project=ID    MIXPANEL_PROJECT_ID                  its number
  --mixpanel-user=NAME     MIXPANEL_SERVICE_ACCOUNT_USERNAME    the service account's user name
  --credentials=KIND       MIXPANEL_CREDENTIALS                 service-account (the default), project-token or api-secret

The secret itself is asked for, once, or read from standard input; it is kept in Secret Manager and nowhere else:
  ./deploy.sh --project=… < secret.txt      a file outside this tree

What to do:
  --dry-run                print every command, run none
  --only=PART              gcs, pubsub or monitoring
  --new-secret             ask for the secret again, and put the functions on it
  --unset=NAME             take a setting away that is deployed; otherwise none is lost
  --replace-trigger        go over to another bucket or topic, whatever is still waiting in the old one's trigger
  --releaser=MEMBER        give somebody what 'release' needs, such as serviceAccount:ci@my-project.iam.gserviceaccount.com
  --rotator=MEMBER         give somebody what 'rotate' needs
  --yes                    destroy without asking

The importer's own settings (IMPORT_INCLUDE, IMPORT_TRANSFORM, LOG_LEVEL, … in README.md) are taken from the file of
--config, or without one from the environment, and given to the functions. What is deployed and not said here stays as it
is; with --config it has to be in the file. IMPORT_REJECTS may name a topic of yours instead of the bucket made here.
END
}

# Each of these has one idea; all commands are in them.
. deploy/names.sh
. deploy/running.sh
. deploy/arguments.sh
. deploy/texts.sh
. deploy/permissions.sh
. deploy/grants.sh
. deploy/delivery.sh
. deploy/project.sh
. deploy/settings.sh
. deploy/functions.sh
. deploy/files.sh
. deploy/messages.sh
. deploy/logs.sh
. deploy/job.sh
. deploy/monitoring.sh

# Everything, from nothing on or from anywhere between: for an owner.
deploy() {
  check_project
  enable_apis
  look
  settle
  compare
  check_sources
  if wants gcs || wants pubsub; then
    make_service_agents
    keep_secret
    make_state_bucket
    make_builder
  fi
  if wants gcs; then deploy_files; fi
  if wants pubsub; then deploy_messages; fi
  if [[ $REGIONAL_LOGS ]]; then keep_logs_here; fi
  if wants monitoring; then deploy_monitoring; fi
  if [[ $RELEASER ]]; then grant_role release "$RELEASER"; fi
  if [[ $ROTATOR ]]; then grant_role rotate "$ROTATOR"; fi
  heading "Done"
}

# New source and settings for what is there. Grants, triggers and the secret stay as they are.
release() {
  check_project
  look
  want_what_is_there
  settle
  compare
  if wants gcs || wants pubsub; then find_secret; fi
  if wants gcs; then release_files; fi
  if wants pubsub; then release_messages; fi
  if wants monitoring; then deploy_monitoring; fi
  heading "Done"
}

# The secret alone.
rotate() {
  check_project
  look
  want_what_is_there
  settle
  add_secret
  heading "Done"
}

# What deploying would change in the functions, and nothing else.
diff() {
  PAUSES=0
  check_project
  look
  want_what_is_there
  settle
  compare
}

want_what_is_there() {
  if dry; then return; fi
  if wants gcs && [[ ! $FILES_NOW ]]; then leave_out gcs "$FILES" "$SOURCE_BUCKET"; fi
  if wants pubsub && [[ ! $MESSAGES_NOW ]]; then leave_out pubsub "$MESSAGES" "$SOURCE_TOPIC"; fi
}

leave_out() {
  if [[ $VERB == diff ]]; then return; fi
  [[ ! $3 && ! $ONLY ]] || die "there is no function $2 yet: './deploy.sh deploy …' makes it, by an owner of the project, once"
  PARTS=${PARTS/$1/}
}

destroy() {
  PAUSES=0
  look
  settle
  heading "What goes ($PARTS)"
  note "Functions, their accounts and grants, triggers, metrics, dashboard and alerts${ONLY:+ of $ONLY}; with everything, the secret."
  heading "What stays, because it holds data of yours"
  note "Your bucket and your topic; gs://$STATE_BUCKET with rejects and checkpoints; the dead letters;"
  note "and, for a week, in snapshots, the messages that were not yet delivered, and what notifications announced."
  confirm
  if wants monitoring; then destroy_monitoring; fi
  if wants pubsub; then destroy_messages; fi
  if wants gcs; then destroy_files; fi
  if wants pubsub || wants gcs; then destroy_logs; fi
  if [[ ! $ONLY ]]; then
    destroy_job
    heading "What both functions shared"
    ungrant_on_project "$(email "$BUILDER")" roles/logging.logWriter
    ungrant_on_project "$(email "$BUILDER")" roles/artifactregistry.writer
    ungrant_on_project "$(email "$BUILDER")" roles/storage.objectViewer "$SOURCES_ONLY"
    undo iam service-accounts delete "$(email "$BUILDER")"
    undo secrets delete "$SECRET"
  fi
  heading "Gone"
}

confirm() {
  local answer=''
  if dry || [[ $YES ]]; then return; fi
  printf 'Type the name of the project to go on: ' >&2
  read -r answer || true
  [[ $answer == "$PROJECT_ID" ]] || die "nothing was changed"
}

read_arguments "$@"
check_arguments
set_names
check_tools
"$VERB"
