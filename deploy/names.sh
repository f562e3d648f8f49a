# shellcheck shell=bash
# Every name and every number there is, in one place.

# NAME begins them all, so that two importers can share a project.

set_names() {
  FILES=$NAME-files                             # imports objects: function, account; with notifications, topic and subscription
  FILES_TRIGGER=$NAME-files-trigger             # the account that hands it events
  FILES_DEAD_LETTERS=$NAME-files-dead-letters   # topic and subscription: events nobody could deliver
  MESSAGES=$NAME-messages                       # imports messages: function, account, push subscription
  MESSAGES_PUSH=$NAME-messages-push             # the account that pushes to it
  MESSAGES_DEAD_LETTERS=$NAME-messages-dead-letters
  JOB=$NAME-job                                 # a backfill: job, account, repository of its image
  BUILDER=$NAME-build                           # the account that builds both
  SECRET=$NAME-secret                           # in Secret Manager
  METRIC=${NAME//-/_}                           # METRIC_read, METRIC_imported, …: what the log counts; the dashboard is NAME
}

RUNTIME=python313  # the newest that the tests run on (.github/workflows/test.yml)

# One instance of gcs_import, reading one object, already sends what Mixpanel takes from a project: 2 GB, or 1.8 million events,
# a minute. So a few are plenty, and the queue waits in Pub/Sub, where it is durable. But not too few: with 12, even a thousand
# objects whose refused deliveries all came back at the same moment would each find a free instance within their 100
# deliveries; and 12 that share Mixpanel's rate still finish 200 MB each well within the time limit.
# One object an instance keeps memory flat (its peak was measured below 150 MB) and gives a big object all of the 540 seconds,
# which is as long as an event may take.
FILES_INSTANCES=12
FILES_CONCURRENCY=1
FILES_TIMEOUT=540
FILES_MEMORY=512Mi

# pubsub_import holds each push open until the batch with its message has been taken, so a batch is as large as the number of
# open requests allows: hundreds. Not the thousand that is possible, because Cloud Run starts another instance at 60 % of
# this number, and because each open request costs memory. Ten such instances carry the 30,000 events a second of the limit.
MESSAGES_INSTANCES=10
MESSAGES_CONCURRENCY=500
MESSAGES_TIMEOUT=90  # a request to Mixpanel may hang for 60, and a batch is tried again for 10
MESSAGES_MEMORY=512Mi

# A push refused because every instance was busy counts as a delivery. So: as many deliveries as Pub/Sub allows, as far
# apart as it allows. That is over 15 hours of waiting before anything is called a dead letter; docs/operations.md has
# the arithmetic, and what flood that is good for. Deliveries run out before the week does: nothing expires unseen.
DELIVERY_ATTEMPTS=100
MIN_RETRY_DELAY=10s
MAX_RETRY_DELAY=600s
RETENTION=7d
FILES_ACK_DEADLINE=600  # longer than the function may take, or the same would be delivered twice at once
MESSAGES_ACK_DEADLINE=120
DEAD_LETTER_RETENTION=31d

# The Google services it stands on.
APIS="cloudresourcemanager iam serviceusage cloudbuild artifactregistry cloudfunctions run eventarc pubsub storage
  secretmanager logging monitoring"

# Where Cloud Functions keeps the sources it builds from; the builder may read no other bucket.
SOURCES_ONLY='expression=resource.name.startsWith("projects/_/buckets/gcf-v2-"),title=function-sources'
