import type { FindingText } from '../finding.ts'

export function amdIommuPt(): FindingText {
  return {
    code: 'AMD_IOMMU_PT',
    level: 'problem',
    message: 'the kernel parameter amd_iommu does not accept the value pt',
    why: 'the parameter is iommu=pt, on AMD and Intel alike; the kernel ignores amd_iommu=pt.',
    remedy: 'write iommu=pt instead'
  }
}

export function amdIommuOn(): FindingText {
  return {
    code: 'AMD_IOMMU_ON',
    level: 'note',
    message: 'amd_iommu=on has no effect',
    why: "the parameter does not accept the value on; AMD's IOMMU is on whenever the firmware (UEFI) offers it.",
    remedy:
      'keep it or remove it; if there are no IOMMU groups, enable IOMMU and SVM in the firmware setup'
  }
}

export function pciNomsi(): FindingText {
  return {
    code: 'PCI_NOMSI',
    level: 'problem',
    message: 'pci=nomsi disables message-signaled interrupts (MSI) for every device',
    why: 'old guides set it along with the ACS patch. It slows down the whole machine, and devices that support only MSI stop working.',
    remedy: 'remove nomsi'
  }
}

/** `param` is the whole parameter, such as `video=efifb:off,vesafb:off`. */
export function framebufferParam(param: string): FindingText {
  return {
    code: 'EFIFB_OFF',
    level: 'problem',
    message: `${param} has no effect since Linux 5.15`,
    why: 'NixOS kernels draw the console with simpledrm, which ignores this parameter.',
    remedy:
      "remove it; if the guest's screen stays black, use initcall_blacklist=sysfb_init or virtualisation.vfio.disableEFIfb"
  }
}

/** `name` is `hugepagesz` or `default_hugepagesz`. */
export function pageSizeParam(name: string): FindingText {
  return noSuchPages(`write ${name}=2M or ${name}=1G, and adjust hugepages=, the number of pages`)
}

/** The size is in an option of `virtualisation.hugepages`. */
export function pageSizeOption(): FindingText {
  return noSuchPages('write "2M" or "1G", and adjust numPages, the number of pages')
}

function noSuchPages(remedy: string): FindingText {
  return {
    code: 'HUGEPAGES_1M',
    level: 'problem',
    message: 'x86 processors have no huge pages of 1M',
    why: 'huge pages are 2M or 1G; the kernel rejects other sizes, so the guest does not get its memory.',
    remedy
  }
}

export function severalParamsInOne(params: readonly string[]): FindingText {
  return {
    code: 'PARAMETERS_IN_ONE',
    level: 'problem',
    message: `${params.length} kernel parameters in one string`,
    why: 'NixOS refuses unquoted spaces in a kernel parameter, so the build fails.',
    remedy: `write each as its own list item: ${params.map(it => `"${it}"`).join(' ')}`
  }
}
