// cgroup_device_acl replaces libvirt's default list of devices, which changed in libvirt 12 (NixOS 26.05).

import { describe, expect, it } from 'vitest'
import { planFixes } from '../../src/lints/index.ts'
import { filesOf, inShort, lintFiles } from './support.ts'

const facts = (release?: string) => (release === undefined ? {} : { release })
const messages = (text: string, release?: string) =>
  lintFiles(text, facts(release)).map(it => it.message)
const conf = (...lines: string[]) =>
  `{ virtualisation.libvirtd.qemu.verbatimConfig = ''\n    namespaces = []\n${lines.map(it => `    ${it}\n`).join('')}  ''; }\n`

const WITHOUT_KVM = '"/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx"'
const LACKS_KVM = ['cgroup_device_acl lacks /dev/kvm']

describe('/dev/kvm', () => {
  it.each([
    ['24.05', LACKS_KVM],
    ['25.11', LACKS_KVM],
    ['26.05', []],
    [undefined, []]
  ])('checks a list without /dev/kvm on NixOS %s: %j', (release, found) => {
    expect(messages(conf(`cgroup_device_acl = [ ${WITHOUT_KVM} ]`), release)).toEqual(found)
  })

  it('distinguishes /dev/kvm from /dev/kvmfr0 in all formats', () => {
    for (const list of [
      `[ ${WITHOUT_KVM}, "/dev/kvmfr0" ]`,
      `["/dev/kvmfr0",${WITHOUT_KVM}]`,
      `[\n      "/dev/kvmfr0",\n      ${WITHOUT_KVM}\n    ]`,
      `[ '/dev/kvmfr0', ${WITHOUT_KVM.replaceAll('"', "'")} ]`,
      `[ ${WITHOUT_KVM}, # "/dev/kvm"\n      "/dev/kvmfr0" ]`,
      `[ # all of ] "/dev/kvm"\n      ${WITHOUT_KVM}, "/dev/kvmfr0" ]`
    ]) {
      expect(messages(conf(`cgroup_device_acl = ${list}`), '25.11')).toEqual(LACKS_KVM)
    }
  })

  it.each([
    [
      'in a string on one line',
      String.raw`"namespaces = []\ncgroup_device_acl = [ \"/dev/null\", \"/dev/zero\", \"/dev/urandom\", \"/dev/ptmx\", \"/dev/kvmfr0\" ]"`
    ],
    [
      'in a computed list',
      `''
      namespaces = []
      cgroup_device_acl = [ \${lib.concatStringsSep "," [ "/dev/null" "/dev/zero" "/dev/urandom" "/dev/ptmx" "/dev/kvmfr0" ]} ]
    ''`
    ]
  ])('distinguishes /dev/kvm from /dev/kvmfr0 %s', (_, value) => {
    const text = `{ lib, ... }: { virtualisation.libvirtd.qemu.verbatimConfig = ${value}; }`
    expect(messages(text, '25.11')).toEqual(LACKS_KVM)
    expect(messages(text.replace('/dev/kvmfr0', '/dev/kvm'), '25.11')).toEqual([])
  })
})

describe('the other devices of the list', () => {
  it('finds devices in single quotes, next to comments and on several lines', () => {
    const lists = [
      `[ ${WITHOUT_KVM.replaceAll('"', "'")}, '/dev/kvm' ]`,
      `[\n      # libvirt's own ]\n      ${WITHOUT_KVM},\n      "/dev/kvm", # for QEMU\n    ]`,
      `\n      [ ${WITHOUT_KVM}, "/dev/kvm" ]`
    ]
    for (const list of lists) {
      expect(messages(conf(`cgroup_device_acl = ${list}`), '25.11')).toEqual([])
    }
  })

  it('does not find devices in longer names and in comments', () => {
    const list = '[ "/dev/nullb0", "/dev/zeroes", # "/dev/urandom"\n      "/dev/ptmx0" ]'
    expect(messages(conf(`cgroup_device_acl = ${list}`))).toEqual([
      'cgroup_device_acl lacks /dev/null, /dev/zero, /dev/urandom, /dev/ptmx'
    ])
  })

  it('requires no device if the list is commented out', () => {
    expect(messages(conf('# cgroup_device_acl = [ "/dev/kvmfr0" ]'), '25.11')).toEqual([])
  })
})

describe('--fix', () => {
  const fixed = (text: string, release?: string) => {
    const [file] = filesOf(text)
    const fixes = lintFiles(text, facts(release)).flatMap(it => (it.fix ? [it.fix] : []))
    const plan = file && planFixes(file.doc, fixes)
    return plan?.ok ? plan.value.plan.text : undefined
  }

  it.each(['25.11', '26.05'])('adds the devices of all libvirt releases on %s', release => {
    const text = conf('cgroup_device_acl = [ "/dev/kvmfr0" ]')
    const whole = conf(
      'cgroup_device_acl = [ "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/kvm", "/dev/full", "/dev/random", "/dev/userfaultfd", "/dev/kvmfr0" ]'
    )
    expect(fixed(text, release)).toBe(whole)
    expect(inShort(whole, lintFiles(whole, facts(release)))).toEqual([])
  })

  it('adds /dev/kvm to a list with /dev/kvmfr0', () => {
    const text = conf(
      'cgroup_device_acl = [',
      `  ${WITHOUT_KVM}, "/dev/full", "/dev/random", "/dev/userfaultfd",`,
      '  "/dev/kvmfr0"',
      ']'
    )
    expect(fixed(text, '25.11')).toBe(text.replace('acl = [\n', 'acl = [\n      "/dev/kvm",\n'))
    expect(fixed(text, '26.05')).toBe(text)
  })

  it('keeps comments with brackets', () => {
    const text = conf('cgroup_device_acl = [ # mine [ ]', '  "/dev/kvmfr0"', ']')
    expect(fixed(text)).toBe(
      text.replace(
        '[ # mine',
        '[ "/dev/null", "/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev/kvm", "/dev/full", "/dev/random", "/dev/userfaultfd", # mine'
      )
    )
  })

  it('offers no fix for an unclosed list', () => {
    const text = conf('cgroup_device_acl = [ "/dev/kvmfr0" # ]')
    expect(messages(text)).toHaveLength(1)
    expect(lintFiles(text).map(it => it.fix)).toEqual([undefined])
  })
})
