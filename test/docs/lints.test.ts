// docs/lints.md, made from the codes and their cases: vitest run test/docs/lints.test.ts -u

import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import {
  DECIDED_CODES,
  GIT_CODES,
  GUEST_CODES,
  LINT_CODES,
  type LintCode,
  MACHINE_CODES
} from '../../src/lints/index.ts'
import { CASES as ON_MACHINES } from '../check/cases.ts'
import { CASES as IN_TEXTS } from '../lints/cases.ts'

/** What goes wrong with passing devices through, as it is numbered in the cases. */
const FAILURES: readonly (readonly [what: string, ...codes: LintCode[]])[] = [
  ['the module `vfio_virqfd`, which Linux has no more: the build fails', 'VIRQFD'],
  [
    'a graphics driver of the host is loaded before vfio-pci and takes the card',
    'LOAD_ORDER',
    'DRIVER_WON'
  ],
  ['only part of a card is given away, its sound or USB forgotten', 'MISSING_FUNCTION'],
  ['two cards have one ID, and the host loses its own', 'SHARED_ID'],
  ['`boot.initrd.preDeviceCommands` under systemd in the initrd', 'PRE_DEVICE_COMMANDS'],
  ['`qemu.ovmf` on 25.11 and later', 'OVMF_OPTION'],
  [
    'a domain with a path to firmware that is gone, or into the Nix store',
    'OVMF_FILE',
    'STORE_PATH'
  ],
  ["`cgroup_device_acl` without libvirt's own devices", 'ACL_INCOMPLETE'],
  ['`verbatimConfig` that loses `namespaces = []`', 'NAMESPACES'],
  [
    '`video=efifb:off`, which does nothing, while the first screen holds the card',
    'EFIFB_OFF',
    'BOOT_FRAMEBUFFER'
  ],
  ['the passphrase of a disk or a pool is asked for where nobody can see it', 'DARK_PASSPHRASE'],
  ['the driver is blacklisted that the desktop needs', 'BLACKLISTS_HOST'],
  ['`amd_iommu=on` or `amd_iommu=pt`', 'AMD_IOMMU_ON', 'AMD_IOMMU_PT'],
  ['the IOMMU is off, or will be after the next boot', 'IOMMU_OFF'],
  [
    'the card shares its group with the disk or the network, or these go along',
    'SHARED_GROUP',
    'LOCKS_OUT'
  ],
  ['an ID that is none, or that the machine has not', 'BAD_ID', 'NO_SUCH_DEVICE'],
  ['IDs in two places, of which one counts', 'IDS_TWICE'],
  [
    '`pcie_acs_override` with a kernel that has no patch for it',
    'ACS_WITHOUT_PATCH',
    'ACS_NOT_ACTIVE'
  ],
  ['`pci=nomsi` of old guides', 'PCI_NOMSI'],
  ['huge pages of 1M, or more of them than memory', 'HUGEPAGES_1M', 'HUGEPAGES_TOO_MANY'],
  ['kvmfr or vendor-reset with the newest kernel', 'FRAGILE_MODULE'],
  [
    'a hook in the wrong place, with the wrong shell, or that calls virsh',
    'HOOK_PLACE',
    'HOOK_SHELL',
    'HOOK_CALLS_VIRSH'
  ],
  ['a file of a flake that git does not know', 'UNTRACKED_FILE'],
  ['guests without a network', 'GUEST_NETWORK'],
  ['the host hangs when it shuts down', 'SHUTDOWN_SUSPENDS'],
  ['a switch without a reboot, after which nothing has changed', 'NEEDS_REBOOT'],
  ['addresses that moved', 'MOVED_DEVICE'],
  ['a disk of a guest that QEMU may not open', 'IMAGE_IN_HOME'],
  ['a card that does not come back after the guest', 'NO_RESET'],
  ['two modules that declare `virtualisation.vfio`', 'DECLARED_TWICE'],
  ['several kernel parameters in one string', 'PARAMETERS_IN_ONE'],
  ['options for NVIDIA that keep the card busy', 'PRIME_GUEST', 'NVIDIA_HOLDS']
]

/** What is found besides. */
const BESIDES: readonly (readonly [what: string, ...codes: LintCode[]])[] = [
  ['a softdep for drm, which does nothing', 'SOFTDEP_DRM'],
  ['a virtual function (SR-IOV) that is to be bound at boot, or its device', 'VIRTUAL_FUNCTION'],
  ['options that have a new name', 'RENAMED_OPTION'],
  ['options that NixOS has no more, so that the build stops', 'REMOVED_OPTION'],
  ['a module with the same options as ours', 'OLD_MODULE'],
  ['a guest that can write to a disk of the host, or to a folder of its system', 'GUEST_DISK']
]

const CASES = [...IN_TEXTS, ...ON_MACHINES]

function where(code: LintCode): string {
  const includes = (codes: readonly LintCode[]) => codes.includes(code)
  if (includes(DECIDED_CODES)) return 'text or machine'
  if (includes(GUEST_CODES)) return 'guests'
  return includes(MACHINE_CODES) ? 'machine' : includes(GIT_CODES) ? 'git' : 'text'
}

function mended(code: LintCode): string {
  const cases = CASES.filter(it => it.code === code)
  const fixed = cases.filter(it => it.fixed !== undefined).length
  return fixed === 0 ? 'no' : fixed === cases.length ? 'yes' : 'where it is sure'
}

function rows(failures: typeof FAILURES, isNumbered: boolean): string[] {
  return failures.flatMap(([what, ...codes], i) =>
    codes.map((code, n) => {
      const number = isNumbered && n === 0 ? String(i + 1) : ''
      return `| ${[number, n === 0 ? what : '', `\`${code}\``, where(code), mended(code)].join(' | ')} |`
    })
  )
}

const HEAD = ['| | what goes wrong | code | seen in | `--fix` |', '| --- | --- | --- | --- | --- |']

const PAGE = `# What \`vfio-patch check\` finds

What goes wrong with passing devices through on NixOS, and the code of what finds it. A code is seen
in the *text* of the configuration and of the files that it imports; on the *machine* that the
configuration is for, with the text beside it; in the *guests* that the configuration has; or by asking *git*
what it knows of a flake. Each finding has its place in a file, the reason and what to do. \`--fix\` mends
what an edit mends for sure.

${[...HEAD, ...rows(FAILURES, true)].join('\n')}

And besides:

${[...HEAD, ...rows(BESIDES, false)].join('\n')}

## On the machine

The machine is looked at if \`networking.hostName\`, in any of the files, is its name; if none of them
says a name, the file lies in \`/etc/nixos\` and this is NixOS; or if \`--sysfs\` names one, be it a dump
of \`vfio-patch scan --dump\`, or \`/\`. Below the findings each thing that the configuration asks for has a
line: the IOMMU, the kernel parameters, the modules, the devices and which driver has them, the huge pages,
the ACS override, and whether what was built last is what the machine was started with.

\`DARK_PASSPHRASE\` is decided by the machine where that is looked at, in every boot entry: it shows which card
the firmware draws on, which cards stay, and which driver each has. vfio-pci removes the firmware's
framebuffer when it binds that card in the initrd. Only the driver of a card that stays, in \`boot.initrd.kernelModules\` or
\`boot.initrd.availableKernelModules\`, makes the prompt visible again. The text alone shows only that the
firmware's framebuffer is off. It is a note instead of a problem where nobody can tell that a passphrase is
asked for (a pool that may be encrypted), where the device or the driver depends on a condition, where there may
be more drivers than the files show, or where the passphrase can also be given over ssh or a serial line. What
unlocks without a person is not reported: a key file, TPM2 without a PIN, clevis.

| | |
| --- | --- |
| active | it is at work |
| configured, active after reboot | it is built, and counts after the next start |
| configured, not active because the system is not built with it yet | \`sudo nixos-rebuild boot\` comes first |
| not active because … | it should be at work, and is not |
| not known, as … | it can't be seen: the log of the kernel, for one, only root may read |

Nothing of it needs root, and nothing is written. Findings about devices are made only where the
configuration names them in so many words, and not under a condition that nobody can see to hold.
`

it('is what the codes and their cases say', async () => {
  await expect(PAGE).toMatchFileSnapshot(
    fileURLToPath(new URL('../../docs/lints.md', import.meta.url))
  )
})

it('has 32 failures, each found, and every code in one place', () => {
  expect(FAILURES).toHaveLength(32)
  const all = [...FAILURES, ...BESIDES].flatMap(([, ...codes]) => codes)
  expect(all.sort()).toEqual([...LINT_CODES].sort())
})

it('numbers them as their cases do', () => {
  const wrong = CASES.filter(({ code, number }) =>
    number === undefined
      ? !BESIDES.some(([, ...codes]) => codes.includes(code))
      : !FAILURES[number - 1]?.slice(1).includes(code)
  )
  expect(wrong.map(it => `${it.number} ${it.code}`)).toEqual([])
})
