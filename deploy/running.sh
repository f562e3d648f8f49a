# shellcheck shell=bash
# Running commands. Everything said goes to descriptor 3, because standard output is often what a function returns.

ERRORS=$(mktemp)
trap 'rm -f "$ERRORS"' EXIT
trap 'exit 1' TERM
exec 3>&1
export CLOUDSDK_CORE_DISABLE_PROMPTS=1  # every answer is in the flags

print() { printf '%s\n' "$*" >&3; }
heading() { print; print "# $*"; }
note() { print "# $*"; }

# From anywhere, also inside $(…), where exit would end the subshell alone.
die() {
  printf 'deploy.sh: %s\n' "$*" >&2
  kill -s TERM $$
  exit 1
}

# What dies in earnest is only a line of what a dry run prints.
stop() { if dry; then print "    exit 1"; else die "$@"; fi; }

dry() { [[ $DRY_RUN ]]; }
wants() { [[ " $PARTS " == *" $1 "* ]]; }
email() { echo "$1@$PROJECT_ID.iam.gserviceaccount.com"; }
member() {
  case $1 in
    *:*) echo "$1" ;;
    *.gserviceaccount.com) echo "serviceAccount:$1" ;;
    *) echo "user:$1" ;;
  esac
}

cloud() { gcloud "$@" --project="$PROJECT_ID"; }

# Looks: prints what the command prints; false if there is no such thing. Any other trouble ends everything.
existing() {
  if dry; then
    show ' ||' "$@"
    return 1
  fi
  patiently "$@" || {
    was_not_there
    return 1
  }
}

# Asks: prints the answer, or, in a dry run, the one given first.
ask() {
  local placeholder=$1
  shift
  if dry; then
    show '' "$@"
    printf '%s\n' "$placeholder"
    return
  fi
  patiently "$@" || die "$(cat "$ERRORS")"
}

# A look, tried again while the API that it goes to is only just enabled.
patiently() {
  local pause
  for pause in $PAUSES; do
    if cloud "$@" 2>"$ERRORS" </dev/null; then return; fi
    grep -Eq "$JUST_ENABLED" "$ERRORS" || return 1
    sleep "$pause"
  done
  return 1
}

# Asks what not everybody may know: a refusal is no answer.
run_optional() {
  if dry; then ask "$@"; else cloud "${@:2}" 2>/dev/null </dev/null || true; fi
}

# Changes something.
run() { feed '' '' "$@"; }

# The same with a text, and what it is, on the command's standard input. What was made a moment ago is not at once known to
# all of Google: such refusals are tried again, for about ten minutes.
feed() {
  local what=$1 input=$2 pause
  shift 2
  show "${what:+  # $what}" "$@"
  if dry; then return; fi
  for pause in $PAUSES; do
    if printf '%s' "$input" | cloud "$@" 2>&1 >/dev/null | tee "$ERRORS" >&2; then return; fi
    grep -Eq "$NOT_YET|$JUST_ENABLED" "$ERRORS" || break
    note "Google does not know yet what was made a moment ago; trying again in $pause seconds."
    sleep "$pause"
  done
  die "stopped at the command above; once its cause is mended, run this again: it goes on from there"
}

# Takes something away that may be gone already.
undo() {
  show '' "$@"
  if dry; then return; fi
  cloud "$@" >/dev/null 2>"$ERRORS" </dev/null || was_not_there
}

# What failed must have failed because there is no such thing, not because one may not see it, or the network is down.
was_not_there() {
  if grep -Eq 'PERMISSION_DENIED|: 403' "$ERRORS" || ! grep -Eq "$NOT_THERE" "$ERRORS"; then die "$(cat "$ERRORS")"; fi
}

NOT_THERE='NOT_FOUND|not found|does not exist|status=\[404\]|: 404'
PAUSES="5 10 20 30 60 60 120 120 180 0"  # seconds

# What Google says in the first minutes of a project, an account or a grant, and no longer.
JUST_ENABLED='has not been used in project .* before or it is disabled'
NOT_YET='[Ss]ervice account .* does not exist|Eventarc Service Agent|concurrent policy changes|unable to queue the operation'
NOT_YET+='|is unable to publish to Cloud Pub/Sub topics'
NOT_YET+='|[Bb]uild service account|does not have storage.objects.get access to the Google Cloud Storage object'
NOT_YET+='|Unable to retrieve the repository metadata|denied: Permission "artifactregistry'
NOT_YET+='|Permission denied on secret'
NOT_YET+='|propagat'

# Prints a command as one would type it, with its flags on lines of their own if it is long.
show() {
  local end=$1 line=gcloud word separator=' '
  shift
  [[ "$* --project=$PROJECT_ID" =~ .{100} ]] && separator=$' \\\n    '
  for word in "$@" "--project=$PROJECT_ID"; do
    case $word in
      --*=*[!A-Za-z0-9_./:=@,+~%-]*) word="${word%%=*}='${word#*=}'" ;;
      *[!A-Za-z0-9_./:=@,+~%-]*) word="'$word'" ;;
    esac
    case $word in --*) line+=$separator$word ;; *) line+=" $word" ;; esac
  done
  print "$line$end"
}
