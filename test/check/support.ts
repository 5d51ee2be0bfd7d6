import { compareWithMachine, type MachineComparison } from '../../src/check/onMachine.ts'
import type { SystemFacts } from '../../src/lints/view.ts'
import { parseDump } from '../../src/machine/dump/dump.ts'
import type { Machine } from '../../src/machine/machine.ts'
import { readMachine } from '../../src/machine/read/machine.ts'
import { type Recording, recordedSource } from '../../src/machine/source.ts'
import { type Files, filesOf } from '../lints/support.ts'
import { textsOf } from '../machine/support/machines.ts'
import { recordingOf } from '../machine/support/tree.ts'

/** Files of a machine as `recordingOf` takes them, by path; null for one that does not exist. */
export type Tree = Record<string, string | null>

/** A machine of test/machine/machines, with these files changed. */
export function machineWith(name: string, tree: Tree = {}): Machine {
  return readMachine(recordedSource(recordingWith(name, tree)))
}

/** The recording of such a machine. */
export function recordingWith(name: string, tree: Tree = {}): Recording {
  const dump = parseDump(textsOf(name).values())
  if (!dump.ok) throw new Error(dump.error)
  const recording = new Map(dump.value)
  for (const [path, text] of Object.entries(tree)) {
    if (text !== null) for (const it of recordingOf({ [path]: text })) recording.set(...it)
    else
      for (const it of [...recording.keys()])
        if (`${it}/`.startsWith(`${path}/`)) recording.delete(it)
  }
  return recording
}

/** A configuration compared with a machine; throws if the configuration passes no device through. */
export function comparisonOf(
  files: Files,
  machine: Machine,
  facts: Partial<SystemFacts> = {}
): MachineComparison {
  const on = compareWithMachine(filesOf(files), { importsModules: true, ...facts }, machine)
  if (!on) throw new Error('no device is passed through')
  return on
}

/** The files of a NixOS with these kernel parameters in the booted system and the latest build. */
export function systems(booted: string, next: string, more: Tree = {}): Tree {
  return {
    ...system('1', booted),
    ...system(booted === next ? '1' : '2', next),
    '/run/booted-system': `-> ${pathOf('1')}`,
    '/run/current-system': `-> ${pathOf('1')}`,
    '/nix/var/nix/profiles/system': '-> system-7-link',
    '/nix/var/nix/profiles/system-7-link': `-> ${pathOf(booted === next ? '1' : '2')}`,
    '/proc/cmdline': `init=${pathOf('1')}/init ${booted}\n`,
    ...more
  }
}

/** The files of a built system with these kernel parameters. */
export function system(digit: string, params: string, initrd = digit): Tree {
  const store = (it: string, name: string) => `-> /nix/store/${it.repeat(32)}-${name}`
  return {
    [`${pathOf(digit)}/kernel`]: store('k', 'linux-6.18.2/bzImage'),
    [`${pathOf(digit)}/kernel-modules`]: store('k', 'linux-6.18.2-modules'),
    [`${pathOf(digit)}/initrd`]: store(initrd, 'initrd-linux-6.18.2/initrd'),
    [`${pathOf(digit)}/kernel-params`]: params
  }
}

export function pathOf(digit: string): string {
  return `/nix/store/${digit.repeat(32)}-nixos-system-pc-26.05`
}
