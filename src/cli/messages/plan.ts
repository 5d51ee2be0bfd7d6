// What the user has to know about a plan before they decide, and afterwards.

import { basename } from 'node:path'
import type { ApplyPlan } from '../../plan/apply.ts'
import type { ParseCheck } from '../../plan/evaluate.ts'
import type { PossibleDeclaration, TakeOver } from '../../plan/legacy/takeOver.ts'
import type { TakeOverNote } from '../../plan/legacy/values.ts'
import type { Context } from '../context.ts'
import { pathIn } from '../output/diff.ts'
import type { ReplacedReport } from '../report.ts'
import { list } from './devices.ts'

/** Nothing has to change. */
export function upToDate(file: string): string {
  return `Nothing to do: ${file} is already up to date.`
}

/** How the result was checked. */
export function checkLine(check: ParseCheck): string {
  return check.status === 'skipped'
    ? `Checked: parses (built-in parser only; ${check.detail}).`
    : 'Checked: parses (nix-instantiate).'
}

/** `Replaces configuration.nix:8: PCI_NOMSI, pci=nomsi turns off …`; `code` may contain terminal colors. */
export function replacementLine({ message, at }: ReplacedReport, code: string): string {
  return `Replaces ${basename(at.path)}:${at.line}: ${code}, ${message}.`
}

/** Why an import is replaced. */
export function replacedImport(name: string, option: string): string {
  return `${name} and vfio-patch's modules both declare ${option}`
}

/**
 * What happens to the modules that vfio-patch replaces, and what vfio-patch's modules do differently. Paths are shown
 * relative to `folder`.
 */
export function takeOverNotes(
  { modules, notes }: TakeOver,
  { files }: ApplyPlan,
  folder: string
): string[] {
  const nameOf = (path: string) => pathIn(folder, path)
  // A replaced module is renamed if one of the shipped modules has its name.
  const renamed = files.filter(
    it => it.ownershipFrom !== undefined && modules.includes(it.ownershipFrom)
  )
  const names = modules
    .filter(it => !renamed.some(({ ownershipFrom }) => ownershipFrom === it))
    .map(nameOf)
  return [
    ...(names.length > 0
      ? [
          `Kept: ${list(names)}; this configuration no longer imports ${names.length === 1 ? 'it' : 'them'}.`
        ]
      : []),
    ...renamed.map(
      it => `Renamed: ${nameOf(it.ownershipFrom ?? '')} is kept as ${nameOf(it.path)}.`
    ),
    ...notes.map(it => `Note: ${takeOverNote(it)}`)
  ]
}

function takeOverNote(note: TakeOverNote): string {
  switch (note.code) {
    case 'DARK_BOOT':
      return 'virtualisation.vfio.disableEFIfb now has an effect: it sets initcall_blacklist=sysfb_init, so the screen stays dark until a graphics driver loads. video=efifb:off did nothing. Remove the option if the guest can use its card without it.'
    case 'NO_ACS_PATCH':
      return 'virtualisation.vfio.applyACSpatch no longer patches the kernel, because the old patches do not apply to any current kernel. Choose a kernel that has the patch, for example boot.kernelPackages = pkgs.linuxPackages_zen; otherwise the IOMMU groups are not split.'
    case 'NO_DEVICE_GROUP':
      return 'the group kvm can no longer open the devices in /dev/vfio; libvirt does not need this. If you start QEMU yourself, set virtualisation.vfio.deviceGroup = "kvm"'
    case 'INPUT_GROUP':
      return 'qemu-libvirtd stays in the group input, for the devices in /dev/input that deviceACL lists.'
    case 'SHARED_BY_KVM': {
      const { names } = note
      return `${list(names.map(it => `/dev/shm/${it}`))} ${names.length === 1 ? 'belongs' : 'belong'} to the group kvm with mode 0660 by default; the default before was root with mode 0600.`
    }
  }
}

/** Another file of the repository may declare an option a second time. */
export function doubtNote({ path, line, name }: PossibleDeclaration, folder: string): string {
  return `Note: ${pathIn(folder, path)}:${line} has ${name}. If this system uses that file too, remove it there: two modules can't declare the same option.`
}

/** Notes on the separate boot entry that has the options; none if the options are for every boot entry. */
export function entryNotes(
  { specialisation = null, configuration, keptObsolete = [] }: ApplyPlan,
  takeOver: TakeOver | undefined,
  { file }: Context
): string[] {
  if (specialisation === null || !configuration.changed) return []
  // The modules that are replaced were imported for every boot entry.
  const others = takeOver ? '' : '; the default boot entry does not change'
  return [
    `Boot entry: the options are in specialisation.${specialisation}${others}.`,
    ...keptObsolete.map(
      it =>
        `Not replaced, because it is outside specialisation.${specialisation}: ${basename(file)}:${it.line}: ${it.code}, ${it.message}.`
    )
  ]
}

/** How to start the boot entry, or to go back if the screen stays dark. */
export function bootHint(specialisation: string | null | undefined): string {
  return specialisation === undefined || specialisation === null
    ? 'If the screen stays dark, choose the previous generation in the boot menu.'
    : `In the boot menu, choose the entry with "${specialisation}" in its name; the default entry is unchanged.`
}

/** Shared memory that would belong to root, because no user is known. */
export function rootOwnsNote(names: readonly string[]): string {
  const [verb, them] = names.length === 1 ? ['belongs', 'it'] : ['belong', 'them']
  return `Note: ${list(names)} ${verb} to root, so nobody else can open ${them}. Name the user who views the guest: --user NAME.`
}

/** `--user` names people that the configuration does not define; `known` are the people that it defines. */
export function unknownUsersNote(unknown: readonly string[], known: readonly string[]): string {
  return `Note: the files that could be read define no user ${list(unknown, 'or')}, only ${list(known)}.`
}

/** What to do before the reboot; `call` is undefined if no edit is sure to help. */
export function darkReminder(call: string | undefined): string {
  const sudo = process.geteuid?.() === 0 ? 'sudo ' : ''
  return call === undefined
    ? 'First:  see DARK_PASSPHRASE above; otherwise the passphrase prompt is invisible'
    : `First:  ${sudo}${call}   (otherwise the passphrase prompt is invisible)`
}

/** The file configures another machine than the one that the command runs on. */
export const OTHER_MACHINE =
  'Note: this file is for another machine, according to its networking.hostName.'

/** The configuration is below another root, and the devices are those of the running machine. */
export function thisMachineNote(what: 'cards' | 'devices'): string {
  return `Note: the ${what} are those of the machine on which vfio-patch runs.`
}

/** A device that the machine does not have; it may be installed later. */
export function absentNote(device: string): string {
  return `Note: this machine has no ${device} at the moment.`
}

/** Devices that vfio-pci already has, so that the host loses nothing. */
export function alreadyBoundNote(addresses: readonly string[]): string {
  return `Note: vfio-pci already has ${list(addresses)}, so the host loses no device that it has now.`
}
