# Shell functions that define the guests of the configuration in libvirt. `guestService.nix' sets their
# variables and calls them. They change only libvirt, through virsh, and the folder STATE_DIRECTORY.
#
# Each guest has a folder in STATE_DIRECTORY:
#   applied.xml  the XML that was last defined; empty while a definition is in progress
#   libvirt.xml  the definition that libvirt made of applied.xml
#   found.xml    libvirt's earlier definition, until it is clear whether it must be kept
#   kept-N.xml   a definition that was changed in libvirt and is saved nowhere else
''
  set -euo pipefail

  failed=no
  # Whether libvirt's guests may have changed after they were listed.
  changed=yes

  # Priorities of the journal: 3 is an error, 4 a warning.
  say() { echo "$guest: $*"; }
  warn() { echo "<4>$guest: $*"; }
  fail() {
    echo "<3>$guest: $*"
    failed=yes
  }

  # select_guest NAME
  select_guest() {
    guest=$1
    folder=$STATE_DIRECTORY/$guest
    applied=$folder/applied.xml
    made=$folder/libvirt.xml
    found=$folder/found.xml
  }

  # Writes standard input to a file atomically.
  write() {
    cat > "$1.new"
    sync "$1.new"
    mv -f "$1.new" "$1"
    sync "$folder"
  }

  # Whether both files exist and have the same content.
  is_same() { [ -e "$1" ] && [ -e "$2" ] && [ "$(< "$1")" = "$(< "$2")" ]; }

  # Whether the guest is in a list with one name per line.
  has_guest() { grep -Fxq -- "$guest" <<< "$1"; }

  # An error of virsh, on one line.
  complaint() { tr -s '\n' ' ' <<< "$1" | sed 's/^error: //; s/ error: /: /g; s/ $//'; }

  # The definition for the next start, with passwords. cat fails on a full disk, but virsh does not.
  definition() { virsh -q dumpxml --inactive --security-info --domain "$guest" | cat; }

  uuid_in() { sed -n '/<uuid>/{s:.*<uuid>\(.*\)</uuid>.*:\1:p;q}' "$1"; }

  # Lists libvirt's guests again if they may have changed. A running guest that is not persistent
  # disappears when it is shut off.
  list_guests() {
    if [ "$changed" = no ]; then return; fi
    changed=no
    all=$(virsh -q list --all --name)
    persistent=$(virsh -q list --all --persistent --name)
    running=$(virsh -q list --name)
  }

  # Renames found.xml to the first kept-N.xml that is free or has the same content.
  keep_found() {
    local number=1
    while kept=$folder/kept-$number.xml && [ -e "$kept" ] && ! is_same "$found" "$kept"; do
      number=$((number + 1))
    done
    mv -f "$found" "$kept"
  }

  keep_changes() {
    keep_found
    warn "libvirt had a different definition, from virt-manager or virsh for example. It is kept in $kept; copy what you need from it into the configuration."
  }

  # Reports after an error that the definition is unchanged, and deletes found.xml. But if libvirt
  # exited before it replied, the definition may have changed; then found.xml is kept.
  report_unchanged() {
    local before=$found
    if [ ! -e "$found" ]; then before=$made; fi
    definition > "$folder/now.xml"
    if is_same "$before" "$folder/now.xml"; then
      rm -f "$found"
      say "libvirt's definition is unchanged; its UUID is $(uuid_in "$folder/now.xml")."
    fi
    rm "$folder/now.xml"
  }

  # Reports a guest in libvirt with the UUID of this XML file and another name.
  report_other_name() {
    local other
    other=$(virsh -q domname "$(uuid_in "$1")" 2> /dev/null) || return 0
    if [ "$other" = "$guest" ]; then return; fi
    say "libvirt's guest $other has the same UUID. If $other is the old name of this guest, rename it while it is off: virsh domrename $(printf '%q %q' "$other" "$guest"); then: systemctl restart vfio-guests. Otherwise give this guest another UUID."
  }

  # define_guest NAME XML-FILE
  define_guest() {
    select_guest "$1"
    local isnew=yes message
    if has_guest "$all"; then
      if has_guest "$persistent" && is_same "$2" "$applied"; then return; fi
      isnew=no
    fi
    mkdir -p "$folder"

    if [ "$isnew" = no ]; then
      definition > "$folder/now.xml"
      # An interrupted run saved found.xml and then replaced the definition.
      if [ -e "$found" ] && ! is_same "$found" "$folder/now.xml"; then keep_changes; fi
      if is_same "$made" "$folder/now.xml"; then
        rm -f "$found"
      else
        write "$found" < "$folder/now.xml"
      fi
      rm "$folder/now.xml"
    elif [ -e "$found" ]; then
      keep_changes
    fi

    write "$applied" < /dev/null
    if ! message=$(virsh -q define "$2" 2>&1); then
      fail "libvirt did not define it: $(complaint "$message")"
      if [ "$isnew" = no ]; then
        report_unchanged
      else
        report_other_name "$2"
      fi
      if [ ! -e "$made" ]; then forget; fi
      return
    fi
    changed=yes
    definition > "$folder/now.xml"
    write "$made" < "$folder/now.xml"
    rm "$folder/now.xml"
    if is_same "$made" "$found"; then
      rm "$found"
    elif [ -e "$found" ]; then
      keep_changes
    fi
    write "$applied" < "$2"

    if has_guest "$running"; then
      say 'defined. It is running, so this takes effect at its next start.'
    else
      say 'defined.'
    fi
    if has_guest "$(virsh -q list --all --with-managed-save --name)"; then
      warn "it has a saved state, so it resumes without this definition. Discard the saved state with \"virsh managedsave-remove\"."
    fi
  }

  # set_autostart NAME yes|no
  set_autostart() {
    select_guest "$1"
    local now=no message
    if ! has_guest "$persistent"; then return; fi
    if has_guest "$(virsh -q list --all --autostart --name)"; then now=yes; fi
    if [ "$2" = "$now" ]; then return; fi
    if [ "$2" = yes ]; then
      if message=$(virsh -q autostart --domain "$guest" 2>&1); then
        say 'starts with the host from now on.'
        return
      fi
    elif message=$(virsh -q autostart --disable --domain "$guest" 2>&1); then
      say 'no longer starts with the host.'
      return
    fi
    fail "libvirt did not change its autostart: $(complaint "$message")"
  }

  # Starts libvirt's own network if the guest uses it.
  start_network() {
    select_guest "$1"
    if ! has_guest "$all" || ! grep -Fqs "<source network='default'" "$made"; then return; fi
    local message known active
    known=$(virsh -q net-list --all --name)
    active=$(virsh -q net-list --name)
    if ! grep -Fxq default <<< "$known"; then
      fail 'it uses the network "default", which libvirt does not have.'
    elif ! grep -Fxq default <<< "$active"; then
      if message=$(virsh -q net-start default 2>&1 && virsh -q net-autostart default 2>&1); then
        say 'started the network "default", which it uses.'
      else
        fail "the network \"default\" did not start: $(complaint "$message")"
      fi
    fi
  }

  # Deletes the records of a guest that this service no longer manages, except for changed definitions.
  forget() {
    if [ -e "$found" ]; then keep_changes; fi
    rm -f "$made" "$made.new" "$found.new" "$applied.new" "$folder/now.xml" "$applied"
    rmdir --ignore-fail-on-non-empty "$folder"
  }

  # Handles guests that this service defined and that are no longer in the configuration.
  handle_old_guests() {
    local path
    for path in "$STATE_DIRECTORY"/*/applied.xml; do
      if [ ! -e "$path" ]; then continue; fi
      path=$(dirname "$path")
      select_guest "$(basename "$path")"
      if has_guest "$defined"; then continue; fi
      handle_old_guest
    done
  }

  handle_old_guest() {
    local keep message
    if ! has_guest "$all"; then
      forget
      return
    fi
    if has_guest "$undefined"; then
      say 'the configuration no longer defines it, but libvirt keeps its definition.'
      forget
      return
    fi
    if [ "$removes" = no ]; then
      warn 'it is no longer in the configuration, but libvirt keeps it. To remove such guests from libvirt, set: virtualisation.vfio.removeOldGuests = true;'
      return
    fi
    definition > "$folder/now.xml"
    if [ ! -e "$made" ] || [ "$(uuid_in "$made")" != "$(uuid_in "$folder/now.xml")" ]; then
      # libvirt has a different guest with the same name.
      forget
      return
    fi
    if has_guest "$running"; then
      rm "$folder/now.xml"
      warn 'it is no longer in the configuration, but it is running. It is removed at the next switch or boot if it is off then.'
      return
    fi
    # With these flags, libvirt does not delete the NVRAM and the TPM.
    keep=$(virsh help undefine | grep -Eo -e '--keep-(nvram|tpm)' | sort -u | tr '\n' ' ') || keep=
    if grep -q '<tpm ' "$folder/now.xml" && [[ $keep != *--keep-tpm* ]]; then
      rm "$folder/now.xml"
      warn 'it is no longer in the configuration, but it is kept because this version of libvirt would delete its TPM.'
      return
    fi
    mv -f "$folder/now.xml" "$found"
    keep_found
    # shellcheck disable=SC2086 # several words
    if message=$(virsh -q undefine $keep --domain "$guest" 2>&1); then
      changed=yes
      say "removed from libvirt, because it is no longer in the configuration. Its disks are untouched, and its definition is kept in $kept."
      forget
    else
      fail "libvirt did not remove it: $(complaint "$message")"
    fi
  }
''
