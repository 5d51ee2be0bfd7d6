// Guests of the configuration: their XML, its checks during the build, and assertions before that.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { canonicalOf } from '../../src/guests/xml/tree.ts'
import { scriptOf } from '../guestService/support/service.ts'
import { GUESTS, guestNix, guestXml } from '../guests/support/guests.ts'
import { withLibvirt } from '../guests/support/libvirt.ts'
import { documentOf } from '../guests/support/text.ts'
import {
  configExpression,
  describeWithOracle,
  evalNix,
  nixPath,
  type Oracle
} from './evalModules.ts'
import { guestService, inStore, machines, vfioModules, withNixos, withOneCard } from './machines.ts'
import { expectCleanShell } from './shell.ts'

const UUID = 'a4f3e9c6-5c0e-4a53-9d5f-3e0c6a1b7d21'
const ENABLED = '{ virtualisation.vfio.enable = true; }'

interface Definition {
  name: string
  /** The content of the file; null before it is built. */
  text: string | null
  file: string
  script: string
}

/** The definitions of the guests in these modules, by name. */
function definitionsOf(oracle: Oracle, ...modules: string[]): Record<string, Definition> {
  const view = `config: builtins.mapAttrs (_: it: {
    inherit (it.definition) name script;
    text = it.definition.file.text or null;
    file = toString it.definition.file;
  }) config.virtualisation.vfio.guests`
  const all = { modules: [withNixos(''), vfioModules, ENABLED, ...modules] }
  const result = evalNix(configExpression(oracle, view, all))
  if (!result.ok) throw new Error(result.error)
  return result.value as Record<string, Definition>
}

/** What the build's checks print about an XML; empty if they pass. */
function complaintOf({ script }: Definition, xml: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'vfio-guest-'))
  try {
    const file = join(folder, 'domain.xml')
    writeFileSync(file, xml)
    const env = { ...process.env, file, out: join(folder, 'out') }
    const run = spawnSync('bash', ['-c', `set -e\n${script}`], { encoding: 'utf8', env })
    if (run.status === 0) expect(readFileSync(env.out, 'utf8')).toBe(xml)
    return run.status === 0 ? '' : run.stderr.replaceAll(file, 'domain.xml')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describeWithOracle('virtualisation.vfio.guests.<name>.domain', oracle => {
  const { adds, fails, refuses } = machines(oracle)
  const domain = (more: string, name = 'win10') =>
    `virtualisation.vfio = {
      enable = true;
      guests."${name}".domain = { uuid = "${UUID}"; ${more} };
    };`
  const OPTION = 'virtualisation.vfio.guests.win10'
  describe('the XML of the guest', () => {
    let all: Record<string, Definition> | undefined
    it.each(GUESTS)('the XML of %s is equal to its source', guest => {
      all ??= definitionsOf(oracle, ...GUESTS.map(guestNix))
      const given = documentOf(guestXml(guest))
      const [, name = ''] = /<name>(.*)<\/name>/.exec(guestXml(guest)) ?? []
      expect(canonicalOf(documentOf(all[name]?.text ?? '').root)).toBe(canonicalOf(given.root))
    })

    it('the domain is merged with other modules, including mkForce null', () => {
      const { win10 } = definitionsOf(
        oracle,
        `{ ${domain('devices = { disk = [ { device = "disk"; } ]; tpm.model = "tpm-crb"; };')} }`,
        `{ lib, ... }: {
          virtualisation.vfio.guests.win10.domain = {
            memory = { unit = "GiB"; _text = lib.mkDefault 8; };
            devices.disk = [ { device = "cdrom"; } ];
            devices.tpm = lib.mkForce null;
          };
        }`,
        '{ virtualisation.vfio.guests.win10.domain.memory._text = 16; }'
      )
      expect(win10?.text).toBe(`<domain>
  <name>win10</name>
  <uuid>${UUID}</uuid>
  <memory unit='GiB'>16</memory>
  <devices>
    <disk device='disk'/>
    <disk device='cdrom'/>
  </devices>
</domain>
`)
    })

    it('the XML has the paths of packages and files', () => {
      const { win10 } = definitionsOf(
        oracle,
        `{ pkgs, ... }: { ${domain('devices.emulator = pkgs.coreutils; os.loader = "${pkgs.kmod}/code.fd"; os.nvram = /var/lib/vars.fd;')} }`
      )
      expect(win10?.text).toContain(`<loader>${inStore('kmod')}/code.fd</loader>
    <nvram>/var/lib/vars.fd</nvram>`)
      expect(win10?.text).toContain(`<emulator>${inStore('coreutils')}</emulator>`)
    })

    it('the XML is the content of xmlFile', () => {
      const file = nixPath(fileURLToPath(new URL('../guests/guests/nvme.xml', import.meta.url)))
      const { nvme } = definitionsOf(
        oracle,
        `{ virtualisation.vfio.guests.nvme.xmlFile = ${file}; }`
      )
      expect(nvme?.text).toBe(guestXml('nvme'))
    })

    it('xmlFile is not read during evaluation if it must be built', () => {
      const { win10 } = definitionsOf(
        oracle,
        '{ pkgs, ... }: { virtualisation.vfio.guests.win10.xmlFile = pkgs.writeText "a b" "x"; }'
      )
      expect(win10).toMatchObject({ name: 'win10.xml', file: inStore('a b') })
    })
  })

  describe('the build', () => {
    const { "it's": definition } = definitionsOf(oracle, `{ ${domain('', "it's")} }`)
    if (!definition) throw new Error('no definition')
    const guest = (more: string, name = "it's") => `<domain type='kvm'>
  <name>${name}</name>${more}
  <memory>4194304</memory>
  <os>
    <type>hvm</type>
  </os>
</domain>
`
    const uuid = `\n  <uuid>${UUID}</uuid>`

    it('the build checks the XML with the configured libvirt', () => {
      expect(definition.name).toBe('it-s.xml')
      expect(
        definition.script
      ).toBe(`export PATH=${inStore('libvirt')}/bin:${inStore('libxml2')}/bin:$PATH
guest='virtualisation.vfio.guests.it'\\''s'
name='it'\\''s'

refuse() {
  printf '\\n%s: %s\\n' "$guest" "$1" >&2
  exit 1
}

virt-xml-validate "$file" domain ||
  refuse 'libvirt does not accept this domain, for the reasons above.'
found=$(xmllint --xpath 'string(/domain/name)' "$file")
[ "$found" = "$name" ] ||
  refuse "its XML has <name>$found</name>, but it must have <name>$name</name>."
[ -n "$(xmllint --xpath 'string(/domain/uuid)' "$file")" ] ||
  refuse 'its XML has no <uuid>, so libvirt would treat it as a new guest each time. If libvirt has this guest, add the UUID that "virsh domuuid" prints, otherwise the output of "uuidgen".'
[ "$(xmllint --xpath 'count(//@passwd[. != ""])' "$file")" = 0 ] ||
  refuse 'its XML has a password, which every user of this machine could read. Remove it.'
cp "$file" "$out"
`)
    })

    it('the script of the build passes shellcheck', () =>
      expectCleanShell(`file=a out=b\n${definition.script}`, 'bash'))

    withLibvirt('the build accepts a valid guest', () => {
      expect(complaintOf(definition, guest(uuid))).toBe('')
    })

    withLibvirt.each(GUESTS)('the build reports the expected errors of the guest %s', name => {
      const all = definitionsOf(oracle, guestNix(name))
      const [own] = Object.values(all)
      if (!own) throw new Error('no definition')
      const complaints: Record<string, string> = {
        'store-paths':
          '\nvirtualisation.vfio.guests.shared: its XML has a password, which every user of this machine could read. Remove it.\n',
        'two-gpus':
          '\nvirtualisation.vfio.guests.two-gpus: its XML has no <uuid>, so libvirt would treat it as a new guest each time. If libvirt has this guest, add the UUID that "virsh domuuid" prints, otherwise the output of "uuidgen".\n'
      }
      const complaint = complaintOf(own, own.text ?? '')
      expect(complaint.replace('domain.xml validates\n', '')).toBe(complaints[name] ?? '')
    })

    withLibvirt(
      'the build rejects invalid XML, another name, a missing UUID, and a password',
      () => {
        const says = (xml: string) =>
          complaintOf(definition, xml).replace('domain.xml validates\n', '')
        expect(says(guest(`${uuid}\n  <vcpu>many</vcpu>`))).toMatch(
          /validity error[\s\S]*\nvirtualisation.vfio.guests\.it's: libvirt does not accept this domain, for the reasons above.\n$/
        )
        expect(says(guest(uuid, 'other'))).toBe(
          "\nvirtualisation.vfio.guests.it's: its XML has <name>other</name>, but it must have <name>it's</name>.\n"
        )
        expect(says(guest(''))).toContain(': its XML has no <uuid>, so libvirt would')
        const graphics = "<devices><graphics type='vnc' passwd='a'/></devices>"
        expect(says(guest(uuid + graphics))).toContain(': its XML has a password, which')
        expect(says(guest(uuid + graphics.replace("'a'", "''")))).toBe('')
      }
    )
  })

  adds(
    'a service gets the guests with a definition, and the names of guests without one',
    `virtualisation.vfio.guests = {
      "win 11" = { xmlFile = builtins.toFile "win11.xml" "<domain/>"; autostart = false; };
      debian = { };
      win10.domain.uuid = "${UUID}";
    };`,
    {
      ...withOneCard,
      services: guestService({
        defined: {
          'win 11': { xml: inStore('win-11.xml'), autostart: false },
          win10: { xml: inStore('win10.xml') }
        },
        undefined: ['debian']
      })
    }
  )

  it('the script of the service passes shellcheck', () => {
    const xml = inStore('win10.xml')
    const script = scriptOf({ defined: { win10: { xml, autostart: true } }, undefined: ["it's"] })
    expectCleanShell(script, 'bash')
  })

  describe('the assertions', () => {
    fails(
      'rejects a guest with both domain and xmlFile',
      domain('').replace('};', '}; guests.win10.xmlFile = ./x.xml;'),
      [`${OPTION} has both \`domain' and \`xmlFile'. Keep one of them.`]
    )
    fails(
      'rejects autostart of a guest without a definition',
      'virtualisation.vfio = { enable = true; guests.win10.autostart = true; };',
      [
        `${OPTION}.autostart needs a guest that the configuration defines. Set \`domain' or
\`xmlFile', or remove \`autostart'.
`
      ]
    )
    fails('rejects another name in the domain', domain('name = "win11";'), [
      `${OPTION}.domain.name is win11, but the options in
${OPTION} apply to libvirt's guest win10. Use the same name in both places.
`
    ])
    fails(
      'rejects a missing UUID',
      'virtualisation.vfio = { enable = true; guests.win10.domain.name._text = "win10"; };',
      [
        `${OPTION}.domain has no \`uuid', so libvirt would treat it as a new guest each time.
If libvirt has this guest, add the UUID that \`virsh domuuid' prints, otherwise the output
of \`uuidgen'.
`
      ]
    )
    it.each(['7', 'a/b', '.hidden', 'two\\nlines'])('rejects the name "%s"', name => {
      const view =
        'config: map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions)'
      const modules = [withNixos(''), vfioModules, `{ ${domain('', name)} }`]
      const result = evalNix(configExpression(oracle, view, { modules }))
      expect(result.ok ? (result.value as string[]).map(it => it.split(': ')[1]) : result).toEqual([
        'this is not a valid name for a guest. A name has no slash and no control\ncharacter, does not begin with a dot, and is not a number.\n'
      ])
    })
    refuses(
      'rejects a boolean in a domain',
      domain('features.acpi = true;'),
      'domain.features.acpi: a boolean is not allowed here; write the string that libvirt expects: "yes" or "no", "on" or "off"'
    )
    refuses(
      'rejects a domain that is not a set',
      domain('').replace('{ uuid', '[ ]; x = { uuid'),
      'vfio'
    )

    const password = (found: string) => [
      `${OPTION} has ${found}, but every user of this machine can
read the Nix store. Remove it. A display needs no password if it can be reached only from
this machine: let it listen on 127.0.0.1 or on a socket.
`
    ]
    const folder = mkdtempSync(join(tmpdir(), 'vfio-guest-'))
    afterAll(() => rmSync(folder, { recursive: true }))
    const inFile = (xml: string) => {
      const file = join(folder, `${xml.length}.xml`)
      writeFileSync(file, xml)
      return `virtualisation.vfio = { enable = true; guests.win10.xmlFile = ${nixPath(file)}; };`
    }
    const argument = (value: string) =>
      domain(`"qemu:commandline"."qemu:arg" = [ { value = ${JSON.stringify(value)}; } ];`)

    fails(
      'rejects a password in the domain',
      domain('devices.graphics = [ { type = "vnc"; passwd = "a"; } ];'),
      password("a `passwd'")
    )
    fails(
      'rejects a password in a file',
      inFile('<domain>\n<graphics type="spice"\n  passwd = "a"/></domain>\n'),
      password("a `passwd'")
    )
    for (const value of [
      'secret,id=a,data=b',
      '{"qom-type":"secret","id":"a","data":"b"}',
      'port=5900,password=abc',
      '{"password":"abc"}'
    ]) {
      fails(
        `rejects a password in the argument ${value}`,
        argument(value),
        password('a password in a <qemu:arg>')
      )
    }
    fails(
      'rejects a password that a file writes with references',
      inFile('<domain><qemu:arg value="{&quot;password&quot;: &quot;abc&quot;}"/></domain>\n'),
      password('a password in a <qemu:arg>')
    )
    fails(
      'rejects cookies',
      domain('devices.disk = [ { source.cookies.cookie = [ { name = "a"; _text = "b"; } ]; } ];'),
      password('a <cookie>')
    )
    for (const value of [
      'port=5900,password=on',
      'secret,id=a,file=/run/a',
      'a,password-secret=b'
    ]) {
      fails(`accepts an argument without a password: ${value}`, argument(value), [])
    }
    fails('accepts an empty password', domain('devices.graphics = [ { passwd = ""; } ];'), [])
  })

  adds(
    'warns about a network card without a MAC address',
    `virtualisation.vfio.guests.win10.domain = {
      uuid = "${UUID}";
      devices.interface = [ { type = "user"; } { type = "user"; mac.address = "52:54:00:12:34:56"; } ];
    };`,
    {
      ...withOneCard,
      services: guestService({ defined: { win10: { xml: inStore('win10.xml') } } }),
      warnings: [
        `${OPTION}.domain has a network interface without \`mac'. libvirt generates a new
address each time it defines the guest, which then finds a new network card. Add the address
that \`virsh domiflist' shows, for example mac.address = "52:54:00:12:34:56";.
`
      ]
    }
  )

  it('guests have no effect and no warnings while vfio is off', () => {
    const view =
      'config: { inherit (config) warnings assertions; units = config.systemd.services; }'
    const modules = [
      withNixos(''),
      vfioModules,
      `{ ${domain('name = "x";').replace('enable = true;', '')} }`
    ]
    expect(evalNix(configExpression(oracle, view, { modules }))).toMatchObject({
      ok: true,
      value: { warnings: [], units: {} }
    })
  })
})
