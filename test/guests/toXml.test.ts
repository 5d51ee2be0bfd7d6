// Conversion of Nix to XML: handwritten modules, and errors.

import { expect, test } from 'vitest'
import { text, xmlOf } from './support/text.ts'

const inDomain = (inner: string) =>
  `{\n  virtualisation.vfio.guests.x.domain = {\n    ${inner}\n  };\n}\n`

test('converts a handwritten module', () => {
  const given = text`
    # My guest.
    { pkgs, ... }:

    {
      imports = [ ./other.nix ];
      environment.systemPackages = with pkgs; [ vim ];

      virtualisation.vfio = {
        enable = true;
        guests.win10 = {
          autostart = true;
          domain = {
            type = "kvm";
            name = "win10";
            memory = { unit = "GiB"; _text = 16; };
            vcpu = 8;
            devices.emulator = null;
            devices.disk = [
              { type = "file"; source.file = "/a"; target = { dev = "vda"; bus = "virtio"; }; }
              null
            ];
            "qemu:commandline"."qemu:arg" = [ { value = ''{"a":"b'c"}''; } ];
            "xmlns:qemu" = "http://libvirt.org/schemas/domain/qemu/1.0";
            description = ''
              a < b
              c
            '';
          };
        };
      };
    }
  `
  expect(xmlOf(given)).toBe(text`
    <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
      <name>win10</name>
      <description>a &lt; b
    c
    </description>
      <memory unit='GiB'>16</memory>
      <vcpu>8</vcpu>
      <devices>
        <disk type='file'>
          <source file='/a'/>
          <target bus='virtio' dev='vda'/>
        </disk>
      </devices>
      <qemu:commandline>
        <qemu:arg value='{"a":"b&apos;c"}'/>
      </qemu:commandline>
    </domain>
  `)
})

test.each([
  ['with the guest in config', '{ config.virtualisation.vfio.guests.x.domain.name = "x"; }'],
  ['with nested sets', '{ virtualisation = { vfio.guests = { x.domain = { name = "x"; }; }; }; }'],
  ['that is a function', '{ ... }: { virtualisation.vfio.guests.x = { domain.name = ("x"); }; }'],
  ['with recursive sets', 'rec { virtualisation.vfio.guests."x".domain = rec { name = "x"; }; }']
])('converts a module %s', (_, given) => {
  expect(xmlOf(given)).toBe('<domain>\n  <name>x</name>\n</domain>\n')
})

test('converts a file that contains only a domain', () => {
  expect(xmlOf('{ name = "x"; type = "kvm"; }')).toBe(
    "<domain type='kvm'>\n  <name>x</name>\n</domain>\n"
  )
})

test.each([
  [
    'os.bios.useserial = true;',
    `3:25: BAD_VALUE: domain.os.bios.useserial: a boolean is not allowed here
3 |     os.bios.useserial = true;
                            ^^^^
hint: write the string that libvirt expects: "yes" or "no", "on" or "off"`
  ],
  [
    'memory = 1.5;',
    `3:14: BAD_VALUE: domain.memory: a float is not allowed here
3 |     memory = 1.5;
                 ^^^
hint: write it as a string`
  ],
  [
    'devices.disk = [ { source.file = "/a/${x}"; } ];',
    `3:38: COMPUTED: domain.devices.disk[0].source.file is not a literal value
3 |     devices.disk = [ { source.file = "/a/\${x}"; } ];
                                         ^^^^^^^^^`
  ],
  [
    'devices = lib.mkForce { };',
    `3:15: COMPUTED: domain.devices is not a literal value
3 |     devices = lib.mkForce { };
                  ^^^^^^^^^^^^^^^`
  ],
  [
    'inherit name;',
    `3:5: COMPUTED: this is not a literal value
3 |     inherit name;
        ^^^^^^^^^^^^^`
  ],
  [
    '_atrs.type = "kvm";',
    `3:5: BAD_VALUE: domain._atrs: unknown name "_atrs"
3 |     _atrs.type = "kvm";
        ^^^^^
hint: names that begin with "_" are reserved: _attrs, _text and _children`
  ],
  [
    'os = { _text = "a"; boot = [ ]; };',
    `3:10: BAD_VALUE: domain.os: _text, _children and child elements can't be combined
3 |     os = { _text = "a"; boot = [ ]; };
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint: keep one of them; _children takes text and elements`
  ],
  [
    'os = { _attrs.a = "1"; a = "2"; };',
    `3:28: BAD_VALUE: domain.os.a: the attribute "a" is set twice, once in _attrs
3 |     os = { _attrs.a = "1"; a = "2"; };
                               ^`
  ],
  [
    '"a b" = { };',
    `3:13: BAD_VALUE: domain.a b: "a b" is not a valid element name
3 |     "a b" = { };
                ^^^`
  ],
  [
    'os.boot = [ [ ] ];',
    `3:17: BAD_VALUE: domain.os.boot[0]: a list is not allowed here
3 |     os.boot = [ [ ] ];
                    ^^^`
  ],
  [
    'title = "a\u0007b";',
    `3:13: BAD_VALUE: domain.title: the string has a character that XML does not allow
3 |     title = "a\\u{7}b";
                ^^^^^^^^^`
  ],
  [
    'os._children = [ { a = { }; b = { }; } ];',
    `3:22: BAD_VALUE: domain.os._children[0]: expected a string, or an attribute set with exactly one child element
3 |     os._children = [ { a = { }; b = { }; } ];
                         ^^^^^^^^^^^^^^^^^^^^^`
  ]
])('rejects a domain with %s', (inner, expected) => {
  expect(xmlOf(inDomain(inner))).toBe(expected)
})

test.each([
  [
    '{ boot.kernelParams = [ ]; }',
    `NO_DOMAIN: the file does not define virtualisation.vfio.guests.NAME.domain
hint: to see what such a file looks like: vfio-patch domain FILE.xml`
  ],
  [
    '{ virtualisation.vfio.guests = { a.domain = { }; b.domain = { }; }; }',
    `1:52: AMBIGUOUS_DOMAIN: the file defines several guests (a, b)
1 | { virtualisation.vfio.guests = { a.domain = { }; b.domain = { }; }; }
                                                       ^^^^^^
hint: define each guest in its own file`
  ],
  [
    '{ virtualisation.vfio.guests = import ./guests.nix; }',
    `1:32: COMPUTED: this is not a literal value
1 | { virtualisation.vfio.guests = import ./guests.nix; }
                                   ^^^^^^^^^^^^^^^^^^^`
  ],
  [
    '{ virtualisation.vfio.guests.x.domain = "win10.xml"; }',
    `1:41: BAD_VALUE: expected an attribute set
1 | { virtualisation.vfio.guests.x.domain = "win10.xml"; }
                                            ^^^^^^^^^^^`
  ]
])('rejects the file %s', (given, expected) => {
  expect(xmlOf(given)).toBe(expected)
})
