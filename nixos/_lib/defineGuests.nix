# Shell that gives libvirt the guests of the configuration. `guestService.nix' sets what is asked for and calls
# these functions; virsh and the folder in STATE_DIRECTORY are all that they touch.
#
# Each guest has a folder there:
#   applied.xml  what libvirt was given last; empty while it is being given something
#   libvirt.xml  what libvirt made of it
#   found.xml    what libvirt had before, until it is certain that nobody needs it
#   kept-N.xml   what libvirt had before and nobody else has: somebody changed it there
''
  set -euo pipefail

  failed=no
  # Since libvirt was asked for its guests.
  changed=yes

  # The numbers are what the journal goes by: 3 is an error, 4 a warning.
  say() { echo "$guest: $*"; }
  warn() { echo "<4>$guest: $*"; }
  fail() {
    echo "<3>$guest: $*"
    failed=yes
  }

  # Takes in hand the guest of this name.
  take() {
    guest=$1
    folder=$STATE_DIRECTORY/$guest
    applied=$folder/applied.xml
    made=$folder/libvirt.xml
    found=$folder/found.xml
  }

  # Writes what comes in to a file that is there as a whole or not at all.
  write() {
    cat > "$1.new"
    sync "$1.new"
    mv -f "$1.new" "$1"
    sync "$folder"
  }

  same() { [ -e "$1" ] && [ -e "$2" ] && [ "$(< "$1")" = "$(< "$2")" ]; }

  # Whether a list with one name in each line has the guest.
  has_guest() { grep -Fxq -- "$guest" <<< "$1"; }

  # What virsh complains of, in one line.
  complaint() { tr -s '\n' ' ' <<< "$1" | sed 's/^error: //; s/ error: /: /g; s/ $//'; }

  # The definition that the next start goes by. What it says of passwords would be missing otherwise.
  # virsh itself does not notice that a disk is full.
  definition() { virsh -q dumpxml --inactive --security-info --domain "$guest" | cat; }

  uuid_in() { sed -n '/<uuid>/{s:.*<uuid>\(.*\)</uuid>.*:\1:p;q}' "$1"; }

  # A guest that runs and is not among the lasting ones goes when it is off.
  look() {
    if [ "$changed" = no ]; then return; fi
    changed=no
    all=$(virsh -q list --all --name)
    lasting=$(virsh -q list --all --persistent --name)
    running=$(virsh -q list --name)
  }

  # Moves found.xml to where it stays, unless it is there already.
  keep_found() {
    local number=1
    while kept=$folder/kept-$number.xml && [ -e "$kept" ] && ! same "$found" "$kept"; do
      number=$((number + 1))
    done
    mv -f "$found" "$kept"
  }

  keep_changes() {
    keep_found
    warn "libvirt had it otherwise, from virt-manager or virsh. That definition is kept in $kept; what you want of it belongs into the configuration."
  }

  # Also where libvirt is gone before it says that it has taken a definition, what it had is kept.
  tell_what_stays() {
    local before=$found
    if [ ! -e "$found" ]; then before=$made; fi
    definition > "$folder/now.xml"
    if same "$before" "$folder/now.xml"; then
      rm -f "$found"
      say "it stays as it was, with the UUID $(uuid_in "$folder/now.xml")."
    fi
    rm "$folder/now.xml"
  }

  # What to do where libvirt has the guest in an XML by another name.
  tell_other_name() {
    local other
    other=$(virsh -q domname "$(uuid_in "$1")" 2> /dev/null) || return 0
    if [ "$other" = "$guest" ]; then return; fi
    say "libvirt has its UUID for $other. If that is its old name, rename it while it is off: virsh domrename $(printf '%q %q' "$other" "$guest"); then: systemctl restart vfio-guests. Else give it a UUID of its own."
  }

  # define_guest NAME XML-FILE
  define_guest() {
    take "$1"
    local isnew=yes message
    if has_guest "$all"; then
      if has_guest "$lasting" && same "$2" "$applied"; then return; fi
      isnew=no
    fi
    mkdir -p "$folder"

    if [ "$isnew" = no ]; then
      definition > "$folder/now.xml"
      # A run that was cut off had this to replace, and did.
      if [ -e "$found" ] && ! same "$found" "$folder/now.xml"; then keep_changes; fi
      if same "$made" "$folder/now.xml"; then
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
      fail "libvirt does not take its definition: $(complaint "$message")"
      if [ "$isnew" = no ]; then
        tell_what_stays
      else
        tell_other_name "$2"
      fi
      if [ ! -e "$made" ]; then forget; fi
      return
    fi
    changed=yes
    definition > "$folder/now.xml"
    write "$made" < "$folder/now.xml"
    rm "$folder/now.xml"
    if same "$made" "$found"; then
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
      warn "its saved state goes on as it was saved. \"virsh managedsave-remove\" gives that up."
    fi
  }

  # set_autostart NAME yes|no
  set_autostart() {
    take "$1"
    local now=no message
    if ! has_guest "$lasting"; then return; fi
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
    fail "libvirt does not change whether it starts with the host: $(complaint "$message")"
  }

  # Guests without a network of their own are in the one that libvirt brings along.
  start_network() {
    take "$1"
    if ! has_guest "$all" || ! grep -Fqs "<source network='default'" "$made"; then return; fi
    local message known active
    known=$(virsh -q net-list --all --name)
    active=$(virsh -q net-list --name)
    if ! grep -Fxq default <<< "$known"; then
      fail 'it is in the network "default", which libvirt does not have.'
    elif ! grep -Fxq default <<< "$active"; then
      if message=$(virsh -q net-start default 2>&1 && virsh -q net-autostart default 2>&1); then
        say 'started the network "default", which it is in.'
      else
        fail "the network \"default\" does not start: $(complaint "$message")"
      fi
    fi
  }

  # libvirt's guest is none of ours any more, and nothing of it is kept but what nobody else has.
  forget() {
    if [ -e "$found" ]; then keep_changes; fi
    rm -f "$made" "$made.new" "$found.new" "$applied.new" "$folder/now.xml" "$applied"
    rmdir --ignore-fail-on-non-empty "$folder"
  }

  # Guests that were defined here and are not among those of the configuration.
  leave_old_guests() {
    local path
    for path in "$STATE_DIRECTORY"/*/applied.xml; do
      if [ ! -e "$path" ]; then continue; fi
      path=$(dirname "$path")
      take "$(basename "$path")"
      if has_guest "$defined"; then continue; fi
      leave_old_guest
    done
  }

  leave_old_guest() {
    local keep message
    if ! has_guest "$all"; then
      forget
      return
    fi
    if has_guest "$undefined"; then
      say 'its definition is no longer in the configuration. libvirt keeps what it has.'
      forget
      return
    fi
    if [ "$removes" = no ]; then
      warn 'it is no longer in the configuration, and libvirt keeps it. To have such guests removed, set virtualisation.vfio.removeOldGuests = true;.'
      return
    fi
    definition > "$folder/now.xml"
    if [ ! -e "$made" ] || [ "$(uuid_in "$made")" != "$(uuid_in "$folder/now.xml")" ]; then
      # Another guest of the same name.
      forget
      return
    fi
    if has_guest "$running"; then
      rm "$folder/now.xml"
      warn 'it is no longer in the configuration, but it is running. It stays until it is off and the system is switched or started again.'
      return
    fi
    # Without these words, libvirt would delete both with the guest.
    keep=$(virsh help undefine | grep -Eo -e '--keep-(nvram|tpm)' | sort -u | tr '\n' ' ') || keep=
    if grep -q '<tpm ' "$folder/now.xml" && [[ $keep != *--keep-tpm* ]]; then
      rm "$folder/now.xml"
      warn 'it is no longer in the configuration. It stays, as this libvirt would delete its TPM.'
      return
    fi
    mv -f "$folder/now.xml" "$found"
    keep_found
    # shellcheck disable=SC2086 # several words
    if message=$(virsh -q undefine $keep --domain "$guest" 2>&1); then
      changed=yes
      say "removed from libvirt, as it is no longer in the configuration. Its disks are left alone, and its definition is kept in $kept."
      forget
    else
      fail "libvirt does not remove it: $(complaint "$message")"
    fi
  }
''
