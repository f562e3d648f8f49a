# shellcheck shell=bash
# Stamps, and the files of monitoring/ with their names filled in.

# Takes up a file of monitoring/: its TEXT with the names filled in, and the STAMP of that.
take_up() {
  TEXT=$(with_names "$1")
  STAMP=$(digest <<<"$TEXT")
}

# What was taken up, with its stamp, and the etag of what it replaces.
filled_in() { sed "s|{{STAMP}}|$STAMP|g; s|{{ETAG}}|${1:-}|g" <<<"$TEXT"; }

with_names() {
  local location=$BUCKET_LOCATION
  if [[ $NOTIFICATIONS ]]; then location=$REGION; fi
  sed "s|{{NAME}}|$NAME|g; s|{{METRIC}}|$METRIC|g; s|{{PROJECT}}|$PROJECT_ID|g; s|{{STATE_BUCKET}}|$STATE_BUCKET|g
    s|{{REGION}}|$REGION|g; s|{{LOCATION}}|$location|g; s|{{TOPIC}}|${SOURCE_TOPIC##*/}|g; s|{{SILENCE}}|$ALERT_SILENCE|g
    s|{{FILES_INSTANCES}}|$FILES_INSTANCES|g; s|{{MESSAGES_INSTANCES}}|$MESSAGES_INSTANCES|g" "$1"
}

digest() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-40; }
