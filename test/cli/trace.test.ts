// What NODE_DEBUG=vfio-patch adds to stderr.

import { expect, it } from 'vitest'
import { makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const GIVEN = '{ ... }:\n{\n  imports = [ ./hardware.nix ];\n  networking.hostName = "cellar";\n}\n'
const FILES = { 'configuration.nix': GIVEN, 'hardware.nix': '{ }\n' }
const CALL = ['configuration.nix', '--iommu', 'amd']

/** What a call prints to stderr: the lines of the trace, without the process ID, and all other lines. */
async function traced(place: Place, words: readonly string[], debug = 'vfio-patch') {
  const { stderr } = await place.run(words, { env: { NODE_DEBUG: debug } })
  const lines = stderr.split(/(?<=\n)/)
  const isTrace = (it: string) => it.startsWith('VFIO-PATCH ')
  const trace = lines.filter(isTrace).map(it => it.replace(/^VFIO-PATCH \d+: /, ''))
  return { trace: trace.join(''), others: lines.filter(it => !isTrace(it)).join('') }
}

it('the trace of diff has the files and the planned edits', async () => {
  const place = makePlace(FILES)
  const { trace } = await traced(place, ['diff', ...CALL, '--specialisation', 'vfio'])
  const modules = /^plan: create \/etc\/nixos\/vfio\/.*\n/gm
  expect(trace.match(modules)?.length).toBeGreaterThan(5)
  expect(trace.replace(modules, '')).toBe(text`
    storage: read /etc/nixos/configuration.nix, 79 bytes
    files: read /etc/nixos/hardware.nix, 4 characters
    files: folder /etc/nixos/vfio: absent
    files: folder /etc/nixos/vfio/guests: absent
    files: can't read /etc/nixos/vfio
    files: search around /etc/nixos/configuration.nix: 0 files match
    plan: change /etc/nixos/configuration.nix
    plan: at offset 39: 0 characters become 7
    plan: at offset 76: 0 characters become 126
    `)
})

it('the trace of a refused apply has the files that it read, without their text', async () => {
  const place = makePlace({ ...FILES, 'configuration.nix': GIVEN.replace(']', '') })
  const { trace, others } = await traced(place, ['apply', ...CALL, '--yes'])
  expect(others).toContain('Nothing was written.')
  expect(trace).toBe(text`
    storage: read /etc/nixos/configuration.nix, 78 bytes
    files: folder /etc/nixos/vfio: absent
    `)
})

it('the trace of apply has the files that it writes', async () => {
  const place = makePlace(FILES)
  const { trace } = await traced(place, ['apply', ...CALL, '--yes'])
  const renamed = trace.match(/^storage: rename .*: done$/gm) ?? []
  expect(renamed.at(-1)).toMatch(/ to \/etc\/nixos\/configuration\.nix: done$/)
})

it('tracing does not change other output', async () => {
  const place = makePlace(FILES)
  const { trace, others } = await traced(place, ['diff', ...CALL], '')
  expect(trace).toBe('')
  expect((await traced(place, ['diff', ...CALL])).others).toBe(others)
})
