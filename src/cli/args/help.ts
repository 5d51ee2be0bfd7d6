import type { Command } from './flags.ts'

const OVERVIEW = `vfio-patch sets up GPU passthrough in the NixOS configuration that you have.

Usage: vfio-patch COMMAND [FILE] [FLAGS]

Commands:
  scan    show the graphics cards of this machine, and which a guest can have
  apply   show what would change, ask, and write it
  diff    show what would change, and write nothing (as "apply --dry-run")
  check   tell what in FILE does not work, why, and what to do about it
  remove  take everything of ours out of FILE again, and keep your edits
  undo    take the last run that changed FILE back, byte for byte
  option  get, set, add to or remove any option of any module, or import one
  domain  turn a guest of libvirt (its XML) into Nix, or back

Begin with "vfio-patch scan"; it ends with what to do next.
FILE is $NIXOS_CONFIG or /etc/nixos/configuration.nix unless you name one.

  vfio-patch COMMAND --help    the flags of a command
  vfio-patch --version

Exit codes: 0 done or nothing to do, 1 differences that were not written,
2 usage, 3 refused (this file can not be edited safely), 4 can not read or
write, 5 changed meanwhile, 6 the result failed a check, 7 it would lock
you out, 8 written with trouble, 130 cancelled.
`

const SETTINGS = `What to set up (what you do not name stays as it is):
  --gpu ADDR               the graphics card at this address, whole, e.g.
                           0000:01:00.0; repeatable ("vfio-patch scan")
  --confirm ADDR           give that card away although it shows your screen
  --specialisation NAME    put it all into a boot entry of its own, e.g. vfio;
                           the usual one stays as it is. Later runs find it in
                           FILE. To go back: "vfio-patch remove", then apply
  --assume-isolated        with that: give the card away though the IOMMU is
                           still off, so that nobody sees what shares its group
  --domain FILE.xml        the guest in this file (virsh dumpxml --inactive): it
                           goes into vfio/guests/ as Nix, with what old files
                           need mended; what it needs of the host is set up:
                           devices, shared memory, huge pages, a TPM, which
                           processors the host keeps while it runs
  --device ID              a PCI ID to give to the guest, e.g. 10de:1b80; repeat
                           it for all functions of the card ("lspci -nn")
  --address ADDR           the same by address, e.g. 0000:01:00.0, for two cards
                           with one ID. If --device or --address is given, both
                           lists become exactly what the flags say; the same
                           goes for --gpu
  --iommu intel|amd        the maker of the processor
  --user NAME              who may run guests; repeatable
  --bind boot|hooks        give the card away at boot, or when the guest starts
  --disable-efifb          keep the boot screen off the card
  --blacklist-nvidia       keep all NVIDIA drivers away from the host
  --ignore-msrs            let guests touch unknown processor registers
  --acs-patch              split IOMMU groups (needs a kernel with that patch)
  --shared-memory NAME[:USER[:GROUP[:MODE]]]
                           a file in /dev/shm, e.g. looking-glass; repeatable
  --device-acl PATH        a device node that QEMU may open; repeatable
  --clear-emulation-capabilities
                           libvirt's setting of that name
  --hugepages SIZE:COUNT   memory for guests, e.g. 1G:16
  Each switch has a --no- form, e.g. --no-ignore-msrs.
`

const CHECKING = `  --parse-check auto|require|off
                           ask nix-instantiate about the result (auto)
  --eval COMMAND           first run COMMAND over a copy with the change in it;
                           nothing is written if it fails. The copy of the
                           repository or folder is $VFIO_PATCH_TREE, FILE in it
                           is $VFIO_PATCH_FILE
  -o, --output PATCH       write the change as a patch to this file too
  -U, --unified N          lines of context in the diff (3)
`

const ROOT = `  --root DIR               work on the system below DIR, e.g. /mnt
`

const SYSFS = `  --sysfs DIR              the machine to look at, as "scan --dump" saved it
`

const FILES = `Where and how:
${ROOT}${SYSFS}  --modules-dir DIR        the folder for our modules beside FILE (vfio)
  --replace-modules        replace modules of ours that were changed by hand;
                           with --domain, the guest's file as well
  --keep-obsolete          leave values of old guides in FILE that do nothing or
                           do harm today (see "vfio-patch check"), and imports
                           of modules that declare the options of ours
  --release RELEASE        the NixOS that is built next, e.g. 26.05 (that of the
                           system, else the newest)
${CHECKING}`

const BACKUP = `      --no-backup          keep no copy, so no undo (with --yes only)
`

const GIT = `      --no-git-add         do not register new files with git (git add -N)
`

const WRITING = `  -n, --dry-run            show, and write nothing; exit code 1: changes
  -y, --yes                do not ask
      --no-input           never ask; without --yes that is an error
`

const SPEAKING = `  -q, --quiet              print errors only
  -v, --verbose            list bridges that are alone in their group, too
      --json               print one JSON document instead
      --color auto|always|never
  -h, --help
`

const GENERAL = `  -q, --quiet              print errors only (with --yes, or where nothing is
                           written)
  -v, --verbose            show new files in full too, and what asked for
                           each edit
      --json               print one JSON document instead; never asks
      --color auto|always|never
  -h, --help
`

const TEXTS: Record<Command, string> = {
  scan: `vfio-patch scan: show the graphics cards of this machine.

Lists all PCI devices by IOMMU group, with what can be told of each card: its
driver, its monitors, whether a guest can have it, and if not, why. Ends with
what to do next. Reads only, and needs no rights.

  --dump DIR               save what was read in this new folder, to be sent or
                           looked at elsewhere; without serial numbers and
                           names that people give
${SYSFS}${SPEAKING}`,
  apply: `vfio-patch apply [FILE]: set up GPU passthrough.

Shows the change to your configuration, asks, and writes it. Where nothing is
set up yet and no flag says what to set up, it asks for the card first. Run
again with the same flags it has nothing to do; without flags it brings our
modules up to date.

${SETTINGS}
${FILES}${BACKUP}${GIT}${WRITING}${GENERAL}`,
  diff: `vfio-patch diff [FILE]: show what "apply" with the same flags would change.

Prints a patch that "git apply" and "patch -p1" take in the folder of FILE.
Exit code 0: nothing to do, 1: there are changes.

${SETTINGS}
${FILES}${GIT}${GENERAL}`,
  check: `vfio-patch check [FILE]: tell what in a configuration does not work.

Looks through FILE and the files that it imports for what goes wrong with
passing devices through: what NixOS or the kernel no longer knows, what
contradicts itself, what locks you out. Each finding has its place, the reason
and what to do. Notes are worth knowing and do no harm.

If FILE is of this machine, by its networking.hostName, it is held against it
too: whether all that is named is there, and what is active, waits for a reboot,
or is not active, and why. As root it can read the log of the kernel, too.
Exit code 0: no problems, 1: problems.

${SYSFS}  --release RELEASE        the NixOS to check for, e.g. 26.05, or unstable (that
                           of the system, if it is NixOS, else the newest)
  --fix                    mend what an edit mends: show the change, ask, and
                           write it; "vfio-patch undo FILE" takes it back

Where, and how with --fix:
${ROOT}${CHECKING}${BACKUP}${GIT}${WRITING}${GENERAL}`,
  remove: `vfio-patch remove [FILE]: take everything of ours out again.

Out of FILE and of the files that it imports go the import of our modules and
all options that only they declare, wherever they stand by now; then the modules
themselves. Everything else stays, also your edits since "apply". A module of
ours that you changed is kept beside its place, under a name that ends in
.edited. Refused where something of yours reads one of these options.

Where and how:
${ROOT}  --modules-dir DIR        the folder of our modules, if not imported (vfio)
${CHECKING}${BACKUP}${GIT}${WRITING}${GENERAL}`,
  undo: `vfio-patch undo [FILE]: take the last run that changed FILE back, byte for byte.

Files that the run made go. Refused if a file was edited since. Called again, it
takes the run before that back, and so on. After an undo that was interrupted
or ended with exit code 8 it completes that one, says so, and goes no further.

  --redo                   redo the run that was undone last; called again, the
                           one before. A new run ends this
  --run ID                 take this run back instead
  --list                   list the newest 10 runs for FILE, or for all files,
                           and which of them are in effect
  --all                    with --list: list all runs
${ROOT}${GIT}${WRITING}${GENERAL}`,
  option: `vfio-patch option: look up and edit any option of any module.

  vfio-patch option get FILE PATH
  vfio-patch option get FILE --flat
  vfio-patch option set FILE PATH VALUE
  vfio-patch option add FILE PATH VALUE...
  vfio-patch option remove FILE PATH [VALUE...]
  vfio-patch option import FILE MODULE

get prints where the option and what lies below it is defined; exit code 1: it
is not. set gives it a value. add puts items into a list, or lines into a text,
that are not there yet. remove takes them out; without a VALUE, the option.
import adds a path such as ./vfio to the module's imports. All but get show the
change, ask, and write it; "vfio-patch undo FILE" takes it back.

VALUE is Nix: true, 3, '"text"', '[ 80 443 ]', pkgs.vim. Put -- before a VALUE
that begins with a dash. If FILE is -, the module is read from standard input
and the result goes to standard output, without a question.

What and how:
  --flat                   get: one line for each option of the file, or below
                           PATH
  --string                 set, add, remove: take each VALUE as text, not as Nix
  --lines                  add: take each VALUE as a line of a text
  --at end|start           add: where in the list (end)
${ROOT}${CHECKING}${BACKUP}${GIT}${WRITING}${GENERAL}`,
  domain: `vfio-patch domain FILE.xml: turn a guest of libvirt into Nix, or back.

  virsh dumpxml --inactive win10 > win10.xml
  vfio-patch domain win10.xml > win10.nix
  vfio-patch domain win10.nix --to xml > win10.xml

Prints a module with the guest as virtualisation.vfio.guests.NAME.domain:
attributes are texts, elements are sets, comments are kept. It is turned back
and compared first, so nothing gets lost. What a Nix file only computes is asked
of nix-instantiate. If FILE is -, standard input is read. No file is written.

  --to nix|xml             what to print (nix)
  --mend                   put right what does not fit NixOS of today: paths of
                           other systems, firmware, machine types that are gone,
                           QEMU arguments that libvirt has elements for, a
                           missing UUID or MAC address. Each change is told
  --check                  print nothing, and only say whether FILE comes
                           through unchanged

  -q, --quiet              print errors only
  -v, --verbose            tell more of an internal error
      --json               print one JSON document instead
      --color auto|always|never
  -h, --help
`
}

/** The help of a command, or of the whole. */
export function helpFor(command: Command | undefined): string {
  return command === undefined ? OVERVIEW : TEXTS[command]
}
