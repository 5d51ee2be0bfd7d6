// Invalid command lines. Each is refused before any file is read.

import { expect, test } from 'vitest'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const FILE = 'configuration.nix'
const GIVEN = { [FILE]: '{ ... }: { }\n' }

const UNSET = 'an unset variable expands to an empty value.'
const DEVICE = 'an ID looks like 10de:1b80; "lspci -nn" prints it in square brackets'
const ADDRESS = 'an address looks like 0000:01:00.0; "lspci -D" prints it at the start of a line'
const SHARED = 'use the form NAME[:USER[:GROUP[:MODE]]], for example looking-glass:alice:kvm:0660'
const PAGES = 'use the form SIZE:COUNT with a size of 2M or 1G, for example 1G:16'
const MOUNTED = 'pass the folder where the system is mounted, e.g. --root /mnt'

/** The call, the error, what to do, and why if the message says so. */
type Case = [words: string[], what: string, remedy?: string, why?: string]

async function check(words: string[], what: string, remedy?: string, why?: string): Promise<void> {
  const because = why === undefined ? '' : `  Why: ${why}\n`
  const instead = remedy === undefined ? '' : `  Do:  ${remedy}\n`
  await expectRefusal(makePlace(GIVEN), words, {
    code: 2,
    stderr: `vfio-patch: ${what}\n${because}${instead}`
  })
}

test.concurrent.each<Case>([
  [['aply', FILE], 'unknown command "aply". Did you mean "apply"?', 'vfio-patch --help'],
  [['help'], 'unknown command "help".', 'vfio-patch --help'],
  [[FILE], `"${FILE}" is not a command.`, `vfio-patch apply ${FILE}`],
  [['my file.nix'], '"my file.nix" is not a command.', "vfio-patch apply 'my file.nix'"],
  [
    ['diff', FILE, '--devise', '10de:1b80'],
    'unknown flag "--devise". Did you mean "--device"?',
    'vfio-patch diff --help'
  ],
  [
    ['diff', '--iommo=amd'],
    'unknown flag "--iommo". Did you mean "--iommu"?',
    'vfio-patch diff --help'
  ],
  [
    ['diff', '-device', '10de:1b80'],
    'unknown flag "-device". Did you mean "--device"?',
    'vfio-patch diff --help'
  ],
  [
    ['apply', '--acs'],
    'unknown flag "--acs". Did you mean "--acs-patch"?',
    'vfio-patch apply --help'
  ],
  [
    ['apply', '--no-acs-pach'],
    'unknown flag "--no-acs-pach". Did you mean "--no-acs-patch"?',
    'vfio-patch apply --help'
  ],
  [['undo', '--xyzzy'], 'unknown flag "--xyzzy".', 'vfio-patch undo --help'],
  [
    ['apply', '--input'],
    'unknown flag "--input". Did you mean "--no-input"?',
    'vfio-patch apply --help'
  ],
  [
    ['apply', '--git-add'],
    'unknown flag "--git-add". Did you mean "--no-git-add"?',
    'vfio-patch apply --help'
  ],
  [
    ['apply', '--backup'],
    'unknown flag "--backup". Did you mean "--no-backup"?',
    'vfio-patch apply --help'
  ],
  [
    ['apply', '--no-yes', FILE],
    'unknown flag "--no-yes". Did you mean "--yes"?',
    'vfio-patch apply --help'
  ],
  [
    ['apply', '--no-dry-run', FILE],
    'unknown flag "--no-dry-run". Did you mean "--dry-run"?',
    'vfio-patch apply --help'
  ],
  [['apply', FILE, '--_=x'], 'unknown flag "--_=x".', 'vfio-patch apply --help'],
  [['--', 'apply', FILE], 'unknown command "apply".', 'vfio-patch --help']
])('vfio-patch refuses an unknown command or flag: %j', async (words, what, remedy) => {
  await check(words, what, remedy)
})

test.concurrent.each<Case>([
  [['undo', FILE, '--eval', 'x'], '"undo" does not take --eval.', 'vfio-patch undo --help'],
  [['diff', FILE, '--yes'], '"diff" does not take --yes.', 'vfio-patch diff --help'],
  [
    ['undo', FILE, '--device', '10de:1b80'],
    '"undo" does not take --device.',
    'vfio-patch undo --help'
  ],
  [
    ['apply', FILE, '--quiet'],
    '--quiet would hide the change that you are asked to confirm.',
    'add --yes, or omit --quiet'
  ],
  [
    ['undo', FILE, '-q'],
    '--quiet would hide the change that you are asked to confirm.',
    'add --yes, or omit --quiet'
  ],
  [
    ['apply', FILE, '--no-backup'],
    '--no-backup needs --yes.',
    'add --yes, or omit --no-backup',
    'a run without a backup cannot be undone.'
  ]
])(
  'vfio-patch refuses flags that do not fit the command or each other: %j',
  async (...given) => await check(...given)
)

test.concurrent.each<Case>([
  [
    ['apply', '--dry-run=false', FILE],
    '--dry-run takes no value.',
    'pass only --dry-run, or omit it'
  ],
  [
    ['apply', '--dry-run', 'false', FILE],
    '--dry-run takes no value.',
    'pass only --dry-run, or omit it'
  ],
  [['apply', '--yes=0', FILE], '--yes takes no value.', 'pass only --yes, or omit it'],
  [['apply', '-yn', 'false', FILE], '--dry-run takes no value.', 'pass only --dry-run, or omit it'],
  [['apply', '-n0', FILE], '--dry-run takes no value.', 'pass only --dry-run, or omit it'],
  [['apply', '-n=false', FILE], '--dry-run takes no value.', 'pass only --dry-run, or omit it'],
  [
    ['apply', '--no-git-add', 'false', FILE],
    '--no-git-add takes no value.',
    'pass only --no-git-add, or omit it'
  ],
  [
    ['diff', '--ignore-msrs=true', FILE],
    '--ignore-msrs takes no value.',
    'pass --ignore-msrs or --no-ignore-msrs'
  ],
  [
    ['diff', '--ignore-msrs', '--no-ignore-msrs', FILE],
    '--ignore-msrs and --no-ignore-msrs cannot be used together.',
    'omit one of them'
  ]
])('vfio-patch refuses a switch with a value: %j', async (...given) => await check(...given))

test.concurrent.each<Case>([
  [
    ['diff', '--root', '', FILE],
    '--root needs an absolute path, got "".',
    'check the variable you passed, e.g. --root /mnt',
    'an empty value would mean the running system.'
  ],
  [['diff', FILE, '--root'], '--root needs a value.', 'vfio-patch diff --help'],
  [['diff', '--root', 'mnt', FILE], '--root needs an absolute path, got "mnt".', MOUNTED],
  [['diff', '--root', '/does/not/exist'], '--root: there is no folder /does/not/exist.', MOUNTED],
  [['diff', '--device=', FILE], '--device needs a value, got "".', 'vfio-patch diff --help', UNSET],
  [['diff', FILE, '--device'], '--device needs a value.', 'vfio-patch diff --help'],
  [
    ['diff', '--device', '--user', 'alice', FILE],
    '--device needs a value.',
    'vfio-patch diff --help'
  ],
  [['diff', '--eval', '', FILE], '--eval needs a value, got "".', 'vfio-patch diff --help', UNSET],
  [['diff', FILE, '-qo'], '--output needs a value.', 'vfio-patch diff --help'],
  [
    ['apply', '', '--yes'],
    'the file name is empty.',
    'pass the file, e.g. /etc/nixos/configuration.nix',
    UNSET
  ]
])('vfio-patch refuses a missing value: %j', async (...given) => await check(...given))

test.concurrent.each<Case>([
  [['diff', '--root', '/a', '--root', '/b'], '--root was given twice (/a, /b).', 'give it once'],
  [
    ['diff', '--iommu', 'amd', '--iommu', 'intel'],
    '--iommu was given twice (amd, intel).',
    'give it once'
  ],
  [
    ['diff', '--eval', 'true', '--eval', 'false'],
    '--eval was given twice (true, false).',
    'give it once'
  ],
  [['diff', '-U1', '-U2', '--unified=3'], '--unified was given 3 times (1, 2, 3).', 'give it once'],
  [
    ['diff', '--shared-memory', 'scream', '--shared-memory', 'scream:bob'],
    '--shared-memory scream was given twice.',
    'give it once'
  ],
  [
    ['apply', FILE, 'flake.nix'],
    'unexpected argument "flake.nix".',
    'repeat the flag for each value, e.g. --user alice --user bob',
    '"apply" takes one file, and a flag takes one value.'
  ],
  [
    ['diff', FILE, '--device', '10de:1b80', '10de:10f0'],
    'unexpected argument "10de:10f0".',
    'repeat the flag for each value, e.g. --user alice --user bob',
    '"diff" takes one file, and a flag takes one value.'
  ],
  [
    ['undo', FILE, 'b.nix'],
    'unexpected argument "b.nix".',
    'vfio-patch undo [FILE]',
    '"undo" takes one file.'
  ]
])(
  'vfio-patch refuses a repeated flag or a second file: %j',
  async (...given) => await check(...given)
)

test.concurrent.each<Case>([
  [['--device', '10de'], '--device: "10de" is not a PCI ID.', DEVICE],
  [['--device', '0x10de:0x1b80'], '--device: "0x10de:0x1b80" is not a PCI ID.', DEVICE],
  [
    ['--device', '01:00.0'],
    '--device: "01:00.0" is an address, not a PCI ID.',
    'use --address 01:00.0'
  ],
  [
    ['--address', '10de:1b80'],
    '--address: "10de:1b80" is a PCI ID, not an address.',
    'use --device 10de:1b80'
  ],
  [['--address', '0000:01:00.8'], '--address: "0000:01:00.8" is not a PCI address.', ADDRESS],
  [['--user', 'al ice'], '--user: "al ice" is not a user name.', 'a user name looks like alice'],
  [['--user', '${name}'], '--user: "${name}" is not a user name.', 'a user name looks like alice'],
  [
    ['--shared-memory', '/dev/shm/scream'],
    '--shared-memory: "/dev/shm/scream" is not a name for a file in /dev/shm.',
    SHARED
  ],
  [
    ['--shared-memory', 'a:b:c:0660:e'],
    '--shared-memory: "a:b:c:0660:e" has too many parts.',
    SHARED
  ],
  [
    ['--shared-memory', 'scream:alice:kvm:0999'],
    '--shared-memory: "0999" is not a file mode.',
    SHARED
  ],
  [['--hugepages', '16'], '--hugepages: "16" is not a size and a number of huge pages.', PAGES],
  [['--hugepages', '1M:16'], '--hugepages: x86 has no huge pages of size "1M".', PAGES],
  [
    ['--device-acl', 'kvmfr0'],
    '--device-acl: "kvmfr0" is not a device node.',
    'a device node looks like /dev/kvmfr0'
  ],
  [
    ['--device-acl', '/dev/../etc/shadow'],
    '--device-acl: "/dev/../etc/shadow" is not a device node.',
    'a device node looks like /dev/kvmfr0'
  ],
  [['--iommu', 'AMD'], '--iommu takes intel or amd, got "AMD".'],
  [['--bind', 'never'], '--bind takes boot or hooks, got "never".'],
  [['--parse-check', 'yes'], '--parse-check takes auto, require or off, got "yes".'],
  [['--color', 'yes'], '--color takes auto, always or never, got "yes".'],
  [['-U', '-1'], '-U needs a number of lines, got "-1".', 'e.g. -U 5']
])('vfio-patch refuses an invalid value: %j', async (flags, what, remedy) => {
  await check(['apply', '--yes', FILE, ...flags], what, remedy)
})

test.concurrent('apply refuses if no flag sets anything up', async () => {
  const place = makePlace(GIVEN)
  await expectRefusal(place, ['apply', '--yes', FILE], {
    code: 2,
    stderr: text`
      vfio-patch: no card or setting was chosen, and /etc/nixos/configuration.nix does not use vfio-patch yet.
        Why: vfio-patch does not guess which card to pass through.
        Do:  find the address of a card that a guest can have with "vfio-patch scan", then:
             vfio-patch apply /etc/nixos/configuration.nix --gpu ADDR
      `
  })
})

test.concurrent.each(['10e5', '0x10de', '-0', 'true'])(
  'diff accepts a file called %s',
  async name => {
    const place = makePlace({ [name]: '{ ... }: { system.stateVersion = "26.05"; }\n' })
    const outcome = await place.run(['diff', '--iommu', 'amd', '--parse-check', 'off', '--', name])
    expect(outcome).toMatchObject({ code: 1, stdout: expect.stringContaining(`--- a/${name}\n`) })
  }
)
