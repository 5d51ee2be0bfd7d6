// Sentences about why vfio-patch's modules can't replace other modules. `what` has no final period.

interface ObstacleText {
  what: string
  advice?: string
}

/** Advice for the options of well-known modules, by the end of the option's path. */
const OPTION_ADVICE: readonly [RegExp, string][] = [
  [/\.deviceDomains$/, 'name the devices in virtualisation.vfio.addresses instead'],
  [/\.enableNestedVirt$/, 'remove it: KVM enables nested guests by default since Linux 4.20'],
  [/\.disablePCIeASPM$/, 'write boot.kernelParams = [ "pcie_aspm=off" ]; instead'],
  [
    /\.scopedHooks$/,
    'write virtualisation.vfio.guests.<name>.prepare, started, stopped or release instead'
  ],
  [
    /\.qemu\.domains$/,
    'keep the XML of the guest in a file, and name it in virtualisation.vfio.guests.<name>.xml'
  ],
  [
    /\.sharedMemoryFiles\.[^.]+\.size$/,
    'remove it: the <shmem> of the guest sets the size of the file'
  ],
  [/\.kvmfr\.shm(?:\..*)?$/, 'write virtualisation.kvmfr.devices = [ { size = …; } ]; instead']
]

/** vfio-patch does not have the option. */
export function unknownOption(option: string, use: 'read' | 'set'): ObstacleText {
  const known = OPTION_ADVICE.find(([pattern]) => pattern.test(option))
  return {
    what: `${option} is ${use} here, but vfio-patch has no such option`,
    advice: known?.[1] ?? 'remove it, or declare it in a module of your own under another name'
  }
}

export function wrongIOMMUType(): ObstacleText {
  return { what: 'IOMMUType must be "intel" or "amd"', advice: 'write one of these, or remove it' }
}

export function wrongDeviceID(id = ''): ObstacleText {
  return { what: `"${id}" is not a PCI ID`, advice: 'write it like 10de:1b80' }
}

export function wrongDeviceNode(node = ''): ObstacleText {
  const advice = 'write it like /dev/kvmfr0, or remove it'
  return { what: `"${node}" is not a device node`, advice }
}

/** `option` is an option of a file in /dev/shm, such as `mode`. */
export function wrongSharedMemory(option: string, value: string): ObstacleText {
  return {
    what: `"${value}" can't be the ${option} of a file in /dev/shm`,
    advice: 'write a plain value, such as alice, kvm, 0660'
  }
}

export function noSuchPageSize(size: string): ObstacleText {
  return {
    what: `there are no huge pages of ${size}`,
    advice: 'write "2M" or "1G", and adjust numPages'
  }
}

// What else a module does, besides declaring options that vfio-patch declares too.

export function computedDeclarations(): ObstacleText {
  return { what: 'this module also declares options that have to be computed' }
}

export function onByDefault(option: string): ObstacleText {
  return { what: `this module also enables ${option} by default` }
}

/** The names of the options below `path` are computed. */
export function setsBelow(path: string): ObstacleText {
  return { what: `this module also sets options below ${path}` }
}

export function sets(option: string): ObstacleText {
  return { what: `this module also sets ${option}` }
}

/** `line` is a list item or a line of a string. */
export function adds(line: string, option: string): ObstacleText {
  return { what: `this module also adds ${line} to ${option}` }
}

/** The module has a device or kernel parameter (`source`) as a literal, not as an option. */
export function hardCodes(source: string): ObstacleText {
  return { what: `this module also hard-codes ${source}` }
}

export function importsAnother(source: string): ObstacleText {
  return { what: `this module also imports ${source}` }
}

// Imports that can't be removed.

const REMOVE_THERE = 'remove it from imports there yourself'

/** `user` is a file outside the configuration that imports the same file. */
export function importerIsShared(sources: readonly string[], user: string): ObstacleText {
  return {
    what: `this file imports ${sources.join(' and ')}, but ${user} needs this file, too`,
    advice: 'remove it from imports here if no other machine needs it'
  }
}

export function importerIsGenerated(sources: readonly string[]): ObstacleText {
  const what = `a generated file imports ${sources.join(' and ')}`
  return { what, advice: REMOVE_THERE }
}

export function importNotRemovable(sources: readonly string[]): ObstacleText {
  const what = `${sources.join(' and ')} can't be removed from imports here`
  return { what, advice: REMOVE_THERE }
}

/** `source` is a module in a file. */
export function flakeListsFile(source: string): ObstacleText {
  return {
    what: `the flake lists ${source}, which declares options of vfio-patch`,
    advice:
      'remove it from this list, and add it to the imports of the configuration, where it can be replaced'
  }
}

/** `source` is a module of another flake. */
export function flakeListsInput(source: string): ObstacleText {
  return {
    what: `the flake lists ${source}, which declares options of vfio-patch`,
    advice:
      'remove it from this list, and the flake input if nothing else uses it; keep your settings under virtualisation'
  }
}
