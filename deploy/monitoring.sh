# shellcheck shell=bash
# What the log counts, the dashboard, the alerts.

# What is in monitoring/ carries a stamp of its own text: only what differs from it is written, so that what someone
# changed in the console stays until the file here changes.
deploy_monitoring() {
  local file metric found row channel channels title
  heading "Eyes: what the log counts"
  found=$(ask '' logging metrics list --format='value(name,description)')
  for file in monitoring/metrics/*.json; do
    metric=${file##*/} metric=${METRIC}_${metric%.json}
    take_up "$file"
    if [[ $'\n'$found != *$'\n'"$metric"$'\t'* ]]; then
      feed "$file" "$(filled_in)" logging metrics create "$metric" --config-from-file=-
    elif [[ $found != *"$STAMP"* ]]; then
      feed "$file" "$(filled_in)" logging metrics update "$metric" --config-from-file=-
    fi
  done

  heading "Eyes: a dashboard"
  file=monitoring/dashboard.json
  take_up "$file"
  if ! found=$(existing monitoring dashboards describe "$NAME" --format='value(etag,labels.stamp)'); then
    feed "$file" "$(filled_in)" monitoring dashboards create --config-from-file=-
  elif [[ $found != *"$STAMP"* ]]; then
    feed "$file" "$(filled_in "${found%%$'\t'*}")" monitoring dashboards update "$NAME" --config-from-file=-
  fi

  heading "Eyes: alerts, each of which says what to do"
  local row policy stamp channels wanted importer titles=''
  channel=$(alert_channel)
  found=$(ask '' alpha monitoring policies list \
    --format='value(name,displayName,userLabels.stamp,userLabels.importer,notificationChannels.list())')
  for file in monitoring/alerts/*.json; do
    take_up "$file"
    title=${TEXT#*'"displayName": "'} title=${title%%'"'*}
    titles+=$title$'\n'
    if [[ $file == */silence.json && ! $ALERT_SILENCE ]]; then continue; fi  # it is made on demand, and stays
    row=$(awk -F '\t' -v title="$title" '$2 == title' <<<"$found")
    IFS=$'\t' read -r policy _ stamp _ channels <<<"$row"
    wanted=${channels:-$channel}
    if [[ ! $row ]]; then
      feed "$file" "$(filled_in)" alpha monitoring policies create --policy-from-file=- \
        ${wanted:+"--notification-channels=$wanted"}
    elif [[ $stamp != "$STAMP" || $channels != "$wanted" ]]; then
      feed "$file" "$(filled_in)" alpha monitoring policies update "$policy" --policy-from-file=- \
        ${wanted:+"--set-notification-channels=$wanted"}
    fi
  done
  while IFS=$'\t' read -r policy title _ importer _; do  # those of an older version, whose work others do now
    if [[ $importer == "$NAME" && $titles != *"$title"$'\n'* ]]; then undo alpha monitoring policies delete "$policy"; fi
  done <<<"$found"
}

# The name of the channel that writes to ALERT_EMAIL, made if there is none.
alert_channel() {
  local found placeholder=projects/$PROJECT_ID/notificationChannels/1$'\t'$ALERT_EMAIL
  if [[ ! $ALERT_EMAIL ]]; then
    note "Alerts will show in the console and be sent to nobody: --alert-email=… changes that."
    return
  fi
  found=$(channel_to "$ALERT_EMAIL" '')
  if [[ ! $found ]]; then
    run beta monitoring channels create --display-name="$ALERT_EMAIL" --type=email \
      --channel-labels="email_address=$ALERT_EMAIL"
    found=$(channel_to "$ALERT_EMAIL" "$placeholder")
  fi
  echo "$found"
}

channel_to() {
  ask "$2" beta monitoring channels list --format='value(name,labels.email_address)' |
    awk -F '\t' -v address="$1" '$2 == address && !found++ { print $1 }'
}

destroy_monitoring() {
  heading "Alerts, dashboard and metrics"
  local policies policy importer file
  policies=$(ask "projects/$PROJECT_ID/alertPolicies/123 $NAME" \
    alpha monitoring policies list --format='value(name,userLabels.importer)')
  while read -r policy importer; do
    if [[ $importer == "$NAME" ]]; then undo alpha monitoring policies delete "$policy"; fi
  done <<<"$policies"
  undo monitoring dashboards delete "$NAME"
  for file in monitoring/metrics/*.json; do
    undo logging metrics delete "${METRIC}_$(basename "$file" .json)"
  done
}
