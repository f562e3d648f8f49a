# shellcheck shell=bash
# Stamps, and the files of monitoring/ with their names filled in.

# A file of monitoring/ with its names filled in; the second argument is the etag of what it replaces.
render() { with_names "$1" | sed "s|{{STAMP}}|$(stamp_of "$1")|g; s|{{ETAG}}|${2:-}|g"; }

stamp_of() { with_names "$1" | digest; }

with_names() {
  local location=$BUCKET_LOCATION
  if [[ $NOTIFICATIONS ]]; then location=$REGION; fi
  sed "s|{{NAME}}|$NAME|g; s|{{METRIC}}|$METRIC|g; s|{{PROJECT}}|$PROJECT_ID|g; s|{{STATE_BUCKET}}|$STATE_BUCKET|g
    s|{{REGION}}|$REGION|g; s|{{LOCATION}}|$location|g; s|{{TOPIC}}|${SOURCE_TOPIC##*/}|g; s|{{SILENCE}}|$ALERT_SILENCE|g
    s|{{FILES_INSTANCES}}|$FILES_INSTANCES|g; s|{{MESSAGES_INSTANCES}}|$MESSAGES_INSTANCES|g" "$1"
}

digest() { { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-40; }
