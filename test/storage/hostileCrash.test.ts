// A run of root is killed in a folder of the sudo caller. Root works there through open folders, not paths.

import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { knownPeople } from '../../src/storage/access.ts'
import { recover } from '../../src/storage/recovery.ts'
import type { FileChange } from '../../src/storage/work.ts'
import { compiled, runnerIn } from './support/compile.ts'
import { change } from './support/files.ts'
import { ALICE } from './support/hostile.ts'
import { jobOf, runProgram } from './support/job.ts'
import { listing, listingIfAny } from './support/listing.ts'
import { needing } from './support/needing.ts'
import { makePlace, type Place } from './support/place.ts'

const folder = compiled()
const CALLS = ['write', 'mkdir', 'symlink', 'rename', 'unlink', 'rmdir', 'fsync', 'fchown']

/** Changes two files, creates one and deletes one, all owned by Alice. */
function given(place: Place): FileChange[] {
  const { nixos } = place
  const at = (name: string) => join(nixos, name)
  mkdirSync(at('old'))
  for (const name of ['a.nix', 'old/gone.nix', 'configuration.nix'])
    writeFileSync(at(name), 'old\n', { mode: 0o644 })
  for (const name of ['', 'old', 'a.nix', 'old/gone.nix', 'configuration.nix'])
    chownSync(at(name), ALICE, ALICE)
  return [
    change(at('vfio/default.nix'), 'module\n'),
    change(at('a.nix'), 'new\n'),
    change(at('configuration.nix'), 'new\n'),
    { ...change(at('old/gone.nix'), null), emptied: [at('old')] }
  ]
}

/** Makes the change under strace with the injection `how`. Returns the log of strace. */
async function run(place: Place, changes: FileChange[], how: string[]): Promise<string> {
  const log = join(place.top, 'log')
  const traced = ['strace', '-o', log, '-e', `trace=${CALLS.join()}`, ...how]
  const job = [process.execPath, runnerIn(folder()), folder(), jobOf(changes, place.options)]
  await runProgram('env', [`SUDO_UID=${ALICE}`, ...traced, ...job])
  return readFileSync(log, 'utf8')
}

needing('root', 'strace')(
  'after a kill at any call and a recovery, all files are as before or all as after the change',
  { timeout: 240_000 },
  async () => {
    const first = makePlace()
    const log = await run(first, given(first), [])
    // The run works through open folders.
    expect(log).toMatch(/rename\("\/proc\/self\/fd\/\d+\/\.configuration\.nix\.vfio-patch\./)
    const after = listing(first.nixos)
    const untouched = makePlace()
    given(untouched)
    const before = listing(untouched.nixos)
    expect(after).not.toEqual(before)

    const outcomes = new Set<string>()
    for (const call of CALLS) {
      const count = log.split('\n').filter(it => it.startsWith(`${call}(`)).length
      for (let nth = 1; nth <= count; nth += 1) {
        const place = makePlace()
        const { nixos, state } = place
        const changes = given(place)
        await run(place, changes, ['-e', `inject=${call}:signal=SIGKILL:when=${nth}`])
        const paths = changes.map(it => it.realpath)
        const people = knownPeople({ SUDO_UID: String(ALICE) })
        expect([call, nth, recover({ paths, stateFolder: state, people })]).toEqual([
          call,
          nth,
          expect.objectContaining({ ok: true })
        ])
        const isNew = JSON.stringify(listing(nixos)) === JSON.stringify(after)
        expect([call, nth, listing(nixos)]).toEqual([call, nth, isNew ? after : before])
        // A run that was rolled back before it had a record can leave its folder. The next run deletes it.
        const runs = listingIfAny(state).filter(it => it.includes('manifest.json'))
        expect([call, nth, runs.length]).toEqual([call, nth, isNew ? 1 : 0])
        expect(listingIfAny(state).filter(it => it.includes('.vfio-patch.'))).toEqual([])
        outcomes.add(isNew ? 'new' : 'old')
      }
    }
    expect([...outcomes].sort()).toEqual(['new', 'old'])
  }
)
