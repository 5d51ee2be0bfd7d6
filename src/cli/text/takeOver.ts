// The words for taking the place of modules that declare the options of ours.

import { relative } from 'node:path'
import { markedLines } from '../../nix/errors.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { ApplyPlan } from '../../plan/apply.ts'
import type { Doubt, TakeOver } from '../../plan/legacy/takeOver.ts'
import type { TakeOverNote } from '../../plan/legacy/values.ts'
import type { Obstacle } from '../../plan/problem.ts'
import type { Context } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { drawnByToolkit } from '../output/output.ts'
import { list } from './devices.ts'

// A person mends some of them at a time.
const MOST_SHOWN = 8

/** All that is in the way, each with its place. `configuration` is the path without links of the file. */
export function notTakenOver(
  obstacles: readonly Obstacle[],
  context: Context,
  configuration: string
): Message {
  const nameOf = (path: string) => (path === configuration ? context.file : path)
  const [first] = obstacles as [Obstacle, ...Obstacle[]]
  const shown = obstacles.slice(0, MOST_SHOWN)
  const placed = shown.map(it => ({ ...it, place: placeOf(it.text, it.range.start) }))
  const isOne = obstacles.length === 1
  const spell = ({ path, place }: (typeof placed)[number]) =>
    `${nameOf(path)}:${place.line}:${place.column}`
  const excerpt = placed.flatMap(it => {
    const taken = 4 + `${it.place.line} | `.length + 2
    const { color, width } = context
    const drawn = markedLines(it.text, it.range, { color, width: width - taken })
    const lines = drawn.map(drawnByToolkit)
    const gap = ' '.repeat(`${it.place.line} | `.length)
    return isOne
      ? lines
      : [`${spell(it)}: ${it.what}`, ...lines, `${gap}Do: ${it.advice ?? ADVICE[it.kind]}`]
  })
  const rest = obstacles.length - shown.length
  const { line, column } = placeOf(first.text, first.range.start)
  const what = isOne
    ? `${nameOf(first.path)}:${line}:${column}: ${first.what}. Nothing was written.`
    : `${obstacles.length} things keep the modules of vfio-patch from taking the place of those that ${context.file} has. Nothing was written.`
  return {
    code: 'NOT_TAKEN_OVER',
    exit: EXIT.refused,
    what,
    at: { path: nameOf(first.path), line, column },
    excerpt: [...excerpt, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n'),
    why: obstacles.every(it => it.kind === 'flake')
      ? 'two modules can not declare one option, and vfio-patch does not edit a flake.'
      : 'two modules can not declare one option, so the others have to go, and this would go with them.',
    remedy: isOne
      ? `${first.advice ?? ADVICE[first.kind]};\nthen run this again`
      : 'mend these, then run this again'
  }
}

const ADVICE: Record<Obstacle['kind'], string> = {
  option: 'take out what vfio-patch has no option for',
  value: 'write a value that vfio-patch takes',
  extra:
    'move what the module does besides into your own configuration, or take it out if you can do without',
  import: 'take the module out of imports there',
  flake: 'take it out of this list'
}

/** What a person has to know besides the edits. */
export function takeOverNotes(
  { modules, notes }: TakeOver,
  { files }: ApplyPlan,
  folder: string
): string[] {
  const nameOf = (path: string) => {
    const inside = relative(folder, path)
    return inside.startsWith('..') ? path : inside
  }
  // What has the name of one of ours gets another.
  const aside = files.filter(it => it.like !== undefined && modules.includes(it.like))
  const names = modules.filter(it => !aside.some(({ like }) => like === it)).map(nameOf)
  return [
    ...(names.length > 0
      ? [
          `Stays: ${list(names)}; this configuration no longer imports ${names.length === 1 ? 'it' : 'them'}.`
        ]
      : []),
    ...aside.map(it => `Kept aside: ${nameOf(it.like ?? '')}, as ${nameOf(it.path)}.`),
    ...notes.map(it => `Note: ${noteLine(it)}`)
  ]
}

// More would hide the rest.
const MOST_DOUBTS = 3

/** What may declare an option a second time; said once, when our modules come. */
export function doubtNotes(doubts: readonly Doubt[], folder: string): string[] {
  return doubts.slice(0, MOST_DOUBTS).map(({ path, line, name }) => {
    const inside = relative(folder, path)
    const file = inside.startsWith('..') ? path : inside
    return `Note: ${file}:${line} has ${name}. If this system gets that as well, take it out there: two modules can not declare one option.`
  })
}

function noteLine(note: TakeOverNote): string {
  switch (note.code) {
    case 'DARK_BOOT':
      return 'virtualisation.vfio.disableEFIfb has an effect now, by initcall_blacklist=sysfb_init: the screen stays dark until a graphics driver loads. video=efifb:off did nothing. Take the option out if the guest gets its card without it.'
    case 'NO_ACS_PATCH':
      return 'virtualisation.vfio.applyACSpatch no longer patches the kernel, as those patches fit none of today. Choose a kernel that has it, for example boot.kernelPackages = pkgs.linuxPackages_zen, or IOMMU groups are as the machine has them.'
    case 'NO_DEVICE_GROUP':
      return 'the group kvm may no longer open the devices under /dev/vfio, which libvirt does not need. If you start QEMU by hand: virtualisation.vfio.deviceGroup = "kvm"'
    case 'INPUT_GROUP':
      return 'qemu-libvirtd stays in the group input, for the devices under /dev/input that deviceACL has.'
    case 'SHARED_BY_KVM':
      return `${list(note.names.map(it => `/dev/shm/${it}`))} ${note.names.length === 1 ? 'belongs' : 'belong'} to the group kvm with the mode 0660 where nothing else is set; before it was root with 0600.`
  }
}
