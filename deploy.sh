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
Usage: ./deploy.sh [deploy|destroy] [flags]

What to import, and where it runs (each flag can also be set as the variable behind it):
  --project=ID             PROJECT_ID       the Google Cloud project
  --region=REGION          REGION           where the functions run, such as europe-west1
  --bucket=BUCKET          SOURCE_BUCKET    import the objects written to this bucket
  --topic=TOPIC            SOURCE_TOPIC     import the messages published to this topic
  --name=NAME              IMPORTER_NAME    first word of everything made (mixpanel)
  --state-bucket=BUCKET    STATE_BUCKET     keeps rejects and checkpoints (PROJECT-NAME)
  --alert-email=ADDRESS    ALERT_EMAIL      who hears of an alert

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
  --yes                    destroy without asking

The importer's own settings (IMPORT_INCLUDE, IMPORT_TRANSFORM, LOG_LEVEL, … in README.md) are taken from the
environment and given to the functions. IMPORT_REJECTS may name a topic of yours instead of the bucket made here.
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
. deploy/functions.sh
. deploy/files.sh
. deploy/messages.sh
. deploy/monitoring.sh

deploy() {
  check_project
  enable_apis
  check_sources
  if wants gcs || wants pubsub; then
    make_service_agents
    keep_secret
    make_state_bucket
    make_builder
  fi
  if wants gcs; then deploy_files; fi
  if wants pubsub; then deploy_messages; fi
  if wants monitoring; then deploy_monitoring; fi
  heading "Done"
}

destroy() {
  heading "What goes ($PARTS)"
  note "Functions, their accounts and grants, triggers, metrics, dashboard and alerts${ONLY:+ of $ONLY}; with everything, the secret."
  heading "What stays, because it holds data of yours"
  note "Your bucket and your topic; gs://$STATE_BUCKET with rejects and checkpoints; the dead letters;"
  note "and, for a week, in a snapshot, the messages that were not yet delivered."
  confirm
  if wants monitoring; then destroy_monitoring; fi
  if wants pubsub; then destroy_messages; fi
  if wants gcs; then destroy_files; fi
  if [[ ! $ONLY ]]; then
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
