// Findings about the devices that a configuration gives to guests.

import type { FindingText } from '../finding.ts'

/** `id` may be empty; `isChecked` if it is in an option of vfio-patch's modules, whose type accepts only IDs. */
export function notAnID(id: string, isChecked: boolean): FindingText {
  return {
    code: 'BAD_ID',
    level: 'problem',
    message: id === '' ? 'an ID is missing here' : `"${id}" is not a PCI ID`,
    why: isChecked
      ? 'the option accepts only PCI IDs, so the build fails.'
      : 'vfio-pci skips an ID that it cannot read, so the device keeps its usual driver.',
    remedy: 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
  }
}

/** `isChecked` as for an ID. */
export function notAnAddress(address: string, isChecked: boolean): FindingText {
  return {
    code: 'BAD_ID',
    level: 'problem',
    message: `"${address}" is not a PCI address`,
    why: isChecked
      ? 'the option accepts only PCI addresses, so the build fails.'
      : 'no device has such an address, so none is given to the guest.',
    remedy: 'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
  }
}

export function idsInSeveralPlaces(): FindingText {
  return {
    code: 'IDS_TWICE',
    level: 'problem',
    message: 'IDs for vfio-pci are set in more than one place',
    why: 'they are not combined: only the last list that the kernel reads has an effect, and the other devices keep their usual drivers.',
    remedy: 'put all IDs in one place'
  }
}
