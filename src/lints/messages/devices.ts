// Findings about the devices that a configuration passes through.

import type { FindingText } from '../finding.ts'

/** `id` may be empty. `isChecked` is true in an option of vfio-patch's modules, whose type accepts only IDs. */
export function notAnID(id: string, isChecked: boolean): FindingText {
  return {
    code: 'BAD_ID',
    level: 'problem',
    message: id === '' ? 'this PCI ID is empty' : `"${id}" is not a PCI ID`,
    why: isChecked
      ? 'the option accepts only PCI IDs, so the build fails.'
      : 'vfio-pci skips an ID that it cannot parse, so the device keeps its usual driver.',
    remedy: 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
  }
}

/** `isChecked` is true in an option of vfio-patch's modules, whose type accepts only addresses. */
export function notAnAddress(address: string, isChecked: boolean): FindingText {
  return {
    code: 'BAD_ID',
    level: 'problem',
    message: `"${address}" is not a PCI address`,
    why: isChecked
      ? 'the option accepts only PCI addresses, so the build fails.'
      : 'no device has such an address, so no device is passed through.',
    remedy: 'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
  }
}

export function idsInSeveralPlaces(): FindingText {
  return {
    code: 'IDS_TWICE',
    level: 'problem',
    message: 'IDs for vfio-pci are set in more than one place',
    why: 'the lists are not combined: only the list that the kernel reads last has an effect, and devices in the other lists keep their usual drivers.',
    remedy: 'put all IDs in one place'
  }
}
