// docs/lints.md, made from the codes and their cases: vitest run test/docs/lints.test.ts -u

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import {
  CODES_DECIDED_BY_MACHINE,
  GIT_CODES,
  GUEST_CODES,
  LINT_CODES,
  type LintCode,
  MACHINE_CODES
} from '../../src/lints/index.ts'
import { CASES as ON_MACHINES } from '../check/cases.ts'
import { CASES as IN_TEXTS } from '../lints/cases.ts'

/** What goes wrong with device passthrough, in the order of the numbers in the cases. */
const FAILURES: readonly (readonly [what: string, ...codes: LintCode[]])[] = [
  ['the module `vfio_virqfd`, which Linux no longer has, so the build fails', 'VIRQFD'],
  [
    "a graphics driver is loaded before vfio-pci and takes the guest's card",
    'LOAD_ORDER',
    'DRIVER_WON'
  ],
  ['only part of a card is passed through, without its audio or USB functions', 'MISSING_FUNCTION'],
  ['a device of the host has the same ID and is passed through, too', 'SHARED_ID'],
  ['`boot.initrd.preDeviceCommands` with systemd in the initrd', 'PRE_DEVICE_COMMANDS'],
  ['`qemu.ovmf` on 25.11 and later', 'OVMF_OPTION'],
  [
    'a domain with a path to firmware that no longer exists, or to the Nix store',
    'OVMF_FILE',
    'STORE_PATH'
  ],
  ["`cgroup_device_acl` without libvirt's default devices", 'ACL_INCOMPLETE'],
  ['`verbatimConfig` without `namespaces = []`', 'NAMESPACES'],
  [
    "`video=efifb:off`, which has no effect, or the kernel still draws on the guest's card",
    'EFIFB_OFF',
    'BOOT_FRAMEBUFFER'
  ],
  ['an invisible passphrase prompt for a disk or a pool', 'DARK_PASSPHRASE'],
  ["a blacklist that includes the desktop's driver", 'BLACKLISTS_HOST'],
  ['`amd_iommu=on` or `amd_iommu=pt`', 'AMD_IOMMU_ON', 'AMD_IOMMU_PT'],
  ['the IOMMU is off, or will be after the next boot', 'IOMMU_OFF'],
  [
    'the card shares its IOMMU group with devices of the host, or the host loses its disk, network, keyboard or screen',
    'SHARED_GROUP',
    'LOCKS_OUT'
  ],
  [
    'an ID or address that is malformed, or that the machine does not have',
    'BAD_ID',
    'NO_SUCH_DEVICE'
  ],
  ['IDs in several places, only one of which has an effect', 'IDS_TWICE'],
  ['`pcie_acs_override` with a kernel without the patch', 'ACS_WITHOUT_PATCH', 'ACS_NOT_ACTIVE'],
  ['`pci=nomsi` from old guides', 'PCI_NOMSI'],
  ['huge pages of 1M, or too many for the memory', 'HUGEPAGES_1M', 'HUGEPAGES_TOO_MANY'],
  ['kvmfr or vendor-reset with the newest kernel', 'FRAGILE_MODULE'],
  [
    'a hook in the wrong folder, with a missing shell, or that calls virsh',
    'HOOK_PLACE',
    'HOOK_SHELL',
    'HOOK_CALLS_VIRSH'
  ],
  ['a file of a flake that git does not track', 'UNTRACKED_FILE'],
  ['guests without a network', 'GUEST_NETWORK'],
  ['the host waits for guests when it shuts down', 'SHUTDOWN_SUSPENDS'],
  ['a rebuild whose settings take effect after a reboot', 'NEEDS_REBOOT'],
  ['a device with a new address', 'MOVED_DEVICE'],
  ["a guest's disk that QEMU may not be allowed to open", 'IMAGE_IN_HOME'],
  ['a card that may not work again after a guest shuts down', 'NO_RESET'],
  ['two modules that declare `virtualisation.vfio`', 'DECLARED_TWICE'],
  ['several kernel parameters in one string', 'PARAMETERS_IN_ONE'],
  ['settings that keep an NVIDIA card busy', 'PRIME_GUEST', 'NVIDIA_HOLDS']
]

/** Findings that are not numbered. */
const OTHERS: readonly (readonly [what: string, ...codes: LintCode[]])[] = [
  ['a softdep on drm, which has no effect', 'SOFTDEP_DRM'],
  [
    'a virtual function (SR-IOV) that is bound at boot, or that its device will not have',
    'VIRTUAL_FUNCTION'
  ],
  ['options that were renamed', 'RENAMED_OPTION'],
  ['options that NixOS removed, so the build fails', 'REMOVED_OPTION'],
  ["another module that declares options of vfio-patch's modules", 'OLD_MODULE'],
  ['a guest that can write to a disk of the host, or to a folder of its system', 'GUEST_DISK']
]

const CASES = [...IN_TEXTS, ...ON_MACHINES]

function sourceOf(code: LintCode): string {
  const includes = (codes: readonly LintCode[]) => codes.includes(code)
  if (includes(CODES_DECIDED_BY_MACHINE)) return 'text or machine'
  if (includes(GUEST_CODES)) return 'guests'
  return includes(MACHINE_CODES) ? 'machine' : includes(GIT_CODES) ? 'git' : 'text'
}

function fixedBy(code: LintCode): string {
  const cases = CASES.filter(it => it.code === code)
  const fixed = cases.filter(it => it.fixed !== undefined).length
  return fixed === 0 ? 'no' : fixed === cases.length ? 'yes' : 'if it is certain'
}

function rows(failures: typeof FAILURES, isNumbered: boolean): string[] {
  return failures.flatMap(([what, ...codes], i) =>
    codes.map((code, n) => {
      const number = isNumbered && n === 0 ? String(i + 1) : ''
      return `| ${[number, n === 0 ? what : '', `\`${code}\``, sourceOf(code), fixedBy(code)].join(' | ')} |`
    })
  )
}

const HEAD = ['| | what goes wrong | code | seen in | `--fix` |', '| --- | --- | --- | --- | --- |']

const PAGE = `# What \`vfio-patch check\` finds

Common problems with device passthrough on NixOS, and the code of each finding. A finding is based on the
*text* of the configuration and its imports; on the *machine* that the configuration is for, compared with the
text; on the *guests* in the configuration; or on the files of a flake that *git* tracks. Each finding has
its place in a file, the reason, and what to do. \`--fix\` makes the edits that are certain to help.

${[...HEAD, ...rows(FAILURES, true)].join('\n')}

Others:

${[...HEAD, ...rows(OTHERS, false)].join('\n')}

## On the machine

\`check\` compares the configuration with its machine in these cases:

- a file sets \`networking.hostName\` to the name of this machine;
- no file sets a name, the configuration is in \`/etc/nixos\`, and the system is NixOS;
- \`--sysfs\` names a machine: a dump of \`vfio-patch scan --dump\`, or \`/\` for this machine.

Below the findings, each thing that the configuration requests has a line: the IOMMU, kernel parameters, modules,
devices with their drivers, huge pages, the ACS override, and whether the latest build is booted.

If the machine is known, \`check\` decides \`DARK_PASSPHRASE\` for every boot entry from its data: which card the
firmware draws on, which cards the host keeps, and their drivers. When the initrd binds the card that the
firmware draws on to vfio-pci, the firmware's framebuffer disappears. Then the prompt is only visible if the
driver of a card that the host keeps is in \`boot.initrd.kernelModules\` or \`boot.initrd.availableKernelModules\`.
The text alone shows only whether the firmware's framebuffer is off. The finding is a note instead of a problem
if it is not certain that a passphrase is asked for (a pool may be encrypted), if the device or the driver
depends on a condition, if the initrd may have more drivers than the files show, or if the passphrase can also
be entered over SSH or a serial line. Devices that unlock by themselves are not reported: with a key file, TPM2
without a PIN, or clevis.

| | |
| --- | --- |
| active | it is in effect |
| configured, active after reboot | it is built, and takes effect after a reboot |
| configured, not active because the system is not built with it yet | run \`sudo nixos-rebuild boot\` first |
| not active because … | it should be active, and is not |
| unknown, because … | it can't be determined: only root may read the kernel log, for example |

\`check\` needs no root and writes nothing without \`--fix\`. It reports devices only if the configuration names
them literally, and not under a condition whose value is unknown.
`

it('docs/lints.md lists all codes, and whether their cases have a fix', async () => {
  await expect(PAGE).toMatchFileSnapshot(
    fileURLToPath(new URL('../../docs/lints.md', import.meta.url))
  )
})

it('docs/lints.md has 32 numbered failures, and each code once', () => {
  expect(FAILURES).toHaveLength(32)
  const all = [...FAILURES, ...OTHERS].flatMap(([, ...codes]) => codes)
  expect(all.sort()).toEqual([...LINT_CODES].sort())
})

it('docs/lints.md numbers failures as their cases do', () => {
  const wrong = CASES.filter(({ code, number }) =>
    number === undefined
      ? !OTHERS.some(([, ...codes]) => codes.includes(code))
      : !FAILURES[number - 1]?.slice(1).includes(code)
  )
  expect(wrong.map(it => `${it.number} ${it.code}`)).toEqual([])
})
