import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { needing } from './support/needing.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const guests = fileURLToPath(new URL('../guests/guests/', import.meta.url))
const guest = (name: string) => readFileSync(guests + name, 'utf8')

const XML = text`
  <domain type='kvm'>
    <name>x</name>
    <vcpu>2</vcpu>
  </domain>
  `
const NIX = text`
  {
    virtualisation.vfio.guests.x.domain = {
      type = "kvm";
      name = "x";
      vcpu = "2";
    };
  }
  `
const COMPUTED = text`
  { lib, ... }:
  let
    cores = 1 + 1;
  in
  {
    virtualisation.vfio.guests.x.domain = { type = "kvm"; name = "x"; vcpu = cores; };
  }
  `

test.concurrent('domain converts XML to Nix, from a file and from standard input', async () => {
  const place = makePlace({ 'x.xml': XML })
  const before = place.snapshot()
  const expected = { code: 0, stdout: NIX, stderr: '' }
  expect(await place.run(['domain', 'x.xml'])).toEqual(expected)
  expect(await place.run(['domain', '-'], { script: '"$@" < x.xml' })).toEqual(expected)
  expect(await place.run(['domain', 'x.xml', '--to', 'nix'])).toEqual(expected)
  expect(place.snapshot()).toEqual(before)
})

test.concurrent('domain converts Nix to XML, from a file and from standard input', async () => {
  const place = makePlace({ 'x.nix': NIX })
  const expected = { code: 0, stdout: XML, stderr: '' }
  expect(await place.run(['domain', 'x.nix', '--to', 'xml'])).toEqual(expected)
  expect(await place.run(['domain', '-', '--to=xml'], { script: '"$@" < x.nix' })).toEqual(expected)
})

needing('nix-instantiate')('domain converts Nix that has to be evaluated', async () => {
  const place = makePlace({ 'x.nix': COMPUTED })
  const expected = { code: 0, stdout: XML, stderr: '' }
  expect(await place.run(['domain', 'x.nix', '--to', 'xml'])).toEqual(expected)
  expect(await place.run(['domain', '-', '--to=xml'], { script: '"$@" < x.nix' })).toEqual(expected)
})

test.concurrent('domain refuses Nix that has to be evaluated if Nix is not installed', async () => {
  const place = makePlace({ 'x.nix': COMPUTED })
  await expectRefusal(
    place,
    ['domain', 'x.nix', '--to', 'xml'],
    {
      code: 3,
      stderr: text`
        vfio-patch: /etc/nixos/x.nix:2:1: this is not a literal value.
            2 | let
                ^^^
          Why: only Nix can compute this value, but nix-instantiate was not found.
          Do:  write the value literally, or run this on a machine with Nix
        `
    },
    { env: { PATH: '/nowhere' } }
  )
})

needing('nix-instantiate')('domain refuses Nix that needs a whole NixOS', async () => {
  const given = '{ pkgs, ... }: { virtualisation.vfio.guests.x.domain.name = "${pkgs.x}"; }\n'
  await expectRefusal(makePlace({ 'x.nix': given }), ['domain', 'x.nix', '--to', 'xml'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/x.nix: Nix cannot evaluate the domain.
        Why: the file needs \`pkgs', which only a complete NixOS configuration provides
        Do:  make the file independent of other files and options
      `.replace('\\`', '`')
  })
})

needing('nix-instantiate')('domain --check compares and does not print the result', async () => {
  const place = makePlace({ 'x.xml': XML, 'x.nix': NIX })
  expect(await place.run(['domain', 'x.xml', '--check'])).toEqual({
    code: 0,
    stdout: '',
    stderr:
      '/etc/nixos/x.xml converts to Nix without loss (nix-instantiate produces the same domain).\n'
  })
  expect(await place.run(['domain', 'x.nix', '--check', '-q'])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
})

test.concurrent('domain --mend prints each change and its reason', async () => {
  const place = makePlace({
    'win.xml': guest('secure-boot.xml'),
    'x.xml': guest('evdev-input.xml')
  })
  const { code, stdout, stderr } = await place.run(['domain', 'win.xml', '--mend', '--to', 'xml'])
  expect({ code, os: /<os[\s\S]*<\/os>/.exec(stdout)?.[0], stderr }).toEqual({
    code: 0,
    os: text`
      <os firmware='efi'>
          <type machine='pc-q35-6.2' arch='x86_64'>hvm</type>
          <loader secure='yes'/>
          <nvram>/var/lib/libvirt/qemu/nvram/win11_VARS.fd</nvram>
        </os>
      `
      .trim()
      .replace("machine='pc-q35-6.2' arch='x86_64'", "arch='x86_64' machine='pc-q35-6.2'"),
    stderr: text`
      fixed os/loader, line 8:
        - /usr/share/OVMF/OVMF_CODE_4M.ms.fd
        + <os firmware='efi'> with <loader secure='yes'/>
        Why: libvirt then selects this system's firmware; if the guest does not start with its old UEFI variables, restore them from a backup or let libvirt create new ones.
      fixed os/nvram, line 9:
        - template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'
        Why: libvirt now selects the template together with the firmware.
      fixed devices/emulator, line 18:
        - /usr/bin/qemu-system-x86_64
        + /run/libvirt/nix-emulators/qemu-system-x86_64
        Why: NixOS links its QEMU at the new path.
      `
  })
  expect(await place.run(['domain', 'x.xml', '--mend'])).toEqual({
    code: 0,
    stdout: guest('evdev-input.nix'),
    stderr: 'There was nothing to fix.\n'
  })
})

test.concurrent('domain prints notes to stderr unless --quiet is given', async () => {
  const place = makePlace({ 'x.xml': "<domain id='1'><name>x</name><?a b?></domain>" })
  const stdout = text`
    {
      virtualisation.vfio.guests.x.domain = {
        id = "1";
        name = "x";
      };
    }
    `
  expect(await place.run(['domain', 'x.xml'])).toEqual({
    code: 0,
    stdout,
    stderr: text`
      note: line 1: this XML was dumped while the guest was running, so it contains runtime state; use virsh dumpxml --inactive NAME.
      note: line 1: the instruction "<?…?>" is omitted, because libvirt ignores it.
      `
  })
  expect(await place.run(['domain', 'x.xml', '-q'])).toEqual({ code: 0, stdout, stderr: '' })
})

test.concurrent('domain --json reports the changes and remarks', async () => {
  const place = makePlace({ 'x.xml': XML.replace("'kvm'", "'kvm' id='1'") })
  const { code, stdout, stderr } = await place.run(['domain', 'x.xml', '--mend', '--json'])
  const { tool, changes, text: nix, ...document } = JSON.parse(stdout)
  expect({ code, stderr, document }).toEqual({
    code: 0,
    stderr: '',
    document: {
      schema: 'vfio-patch/domain',
      schemaVersion: 1,
      command: 'domain',
      outcome: 'converted',
      exit: 0,
      path: `${place.top}/etc/nixos/x.xml`.replace(place.top, ''),
      to: 'nix',
      guest: 'x',
      remarks: [
        {
          code: 'RUNNING',
          path: '',
          line: 1,
          what: 'this XML was dumped while the guest was running, so it contains runtime state; use virsh dumpxml --inactive NAME'
        }
      ],
      earlierRuns: [],
      warnings: [],
      error: null
    }
  })
  expect(changes).toEqual([
    {
      code: 'UUID',
      path: 'uuid',
      line: null,
      before: null,
      after: expect.stringMatching(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
      ),
      why: 'without a UUID, libvirt generates a new one each time it defines the guest, and treats it as a different guest'
    }
  ])
  expect(nix).toContain(`uuid = "${changes[0].after}";`)
})

test.concurrent.each([
  [
    ['domain'],
    2,
    `vfio-patch: "domain" needs FILE: the XML of a libvirt guest (virsh dumpxml --inactive NAME), or a module that defines a guest; - is standard input.
  Do:  vfio-patch domain FILE
`
  ],
  [
    ['domain', 'x.xml', '--to', 'json'],
    2,
    `vfio-patch: --to takes nix or xml, got "json".
`
  ],
  [
    ['domain', 'x.xml', '--check', '--mend'],
    2,
    `vfio-patch: --check and --mend cannot be used together.
  Why: --check only reports whether FILE converts without loss, and prints nothing else.
  Do:  omit one of them
`
  ],
  [
    ['domain', 'x.nix'],
    3,
    `vfio-patch: /etc/nixos/x.nix contains Nix, not the XML of a domain.
  Do:  to get XML from it: vfio-patch domain x.nix --to xml
`
  ],
  [
    ['domain', 'broken.xml'],
    3,
    `vfio-patch: /etc/nixos/broken.xml:2:8: </nam> does not match <name>.
    2 | <name>x</nam>
               ^^^^^^
  Do:  close <name> of line 2 first: </name>
`
  ],
  [
    ['domain', 'none.xml'],
    4,
    `vfio-patch: /etc/nixos/none.xml does not exist.
  Do:  create it: virsh dumpxml --inactive NAME > NAME.xml
`
  ],
  [
    ['domain', '.'],
    4,
    `vfio-patch: /etc/nixos is a folder.
  Do:  pass the XML file of a guest; to create it: virsh dumpxml --inactive NAME > NAME.xml
`
  ],
  [
    ['domain', 'big.xml'],
    3,
    `vfio-patch: /etc/nixos/big.xml: the size is 5.0 MB, but libvirt accepts at most 4 MB for a domain.
  Do:  check that this is the right file
`
  ],
  [
    ['domain', 'bool.nix', '--to', 'xml'],
    3,
    `vfio-patch: /etc/nixos/bool.nix:1:60: domain.os.bootmenu.enable: a boolean is not allowed here.
    1 | { virtualisation.vfio.guests.x.domain.os.bootmenu.enable = true; }
                                                                   ^^^^
  Do:  write the string that libvirt expects: "yes" or "no", "on" or "off"
`
  ]
])('vfio-patch refuses %j', async (words, code, stderr) => {
  const place = makePlace({
    'x.xml': XML,
    'x.nix': NIX,
    'broken.xml': '<domain>\n<name>x</nam>\n</domain>\n',
    'big.xml': ' '.repeat(5 * 1024 * 1024),
    'bool.nix': '{ virtualisation.vfio.guests.x.domain.os.bootmenu.enable = true; }\n'
  })
  await expectRefusal(place, words, { code, stderr })
})

test.concurrent('domain refuses more than 4 MB on standard input', async () => {
  const { code, stderr } = await makePlace().run(['domain', '-'], {
    script: 'head -c 50000000 /dev/zero | "$@"'
  })
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: text`
      vfio-patch: standard input: the size is more than 4 MB, but libvirt accepts at most 4 MB for a domain.
        Do:  check that this is the right file
      `
  })
})
