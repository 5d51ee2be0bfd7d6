import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import type { FileChange } from '../../../src/storage/work.ts'
import { runnerIn } from './compile.ts'
import { type Ended, jobOf, recoveryOf, runProgram } from './job.ts'
import { listing } from './listing.ts'
import { type Place, placeIn } from './place.ts'

/** A change to test at every system call. */
export interface Scenario {
  /** Creates the initial files and returns the changes. */
  given(place: Place): FileChange[]
  /**
   * Where the change is killed, as an injection of strace. Then the sweep tests the recovery
   * instead of the change.
   */
  killedAt?: string
  /** Whether to include calls on the state folder. */
  state?: boolean
}

/** The n-th call with this name. */
export interface Point {
  call: string
  nth: number
  /** True for an `openat` that creates nothing. */
  reads?: boolean
}

/** A run of a scenario with an injection at `point`. */
export interface InjectedRun {
  point: Point
  place: Place
  changes: FileChange[]
  ended: Ended
}

export interface InjectedRunWithListing extends InjectedRun {
  listing: string[]
}

const AT_ONCE = 2
/** More random names than any change in these tests needs. */
const NAMES = 16

/** Runs the scenario once with these injections, in the format of strace. */
export async function runWithInjections(
  compiled: string,
  scenario: Scenario,
  injections: string[]
): Promise<InjectedRunWithListing> {
  return await inPlace(compiled, scenario, async (place, changes) => {
    const how = injections.flatMap(each => ['-e', `inject=${each}`])
    const ended = await traced(compiled, scenario, place, changes, ['-o', '/dev/null', ...how])
    const point = { call: injections.join(), nth: 1 }
    return { point, place, changes, ended, listing: listing(place.nixos) }
  })
}

/**
 * The calls of the process itself that change the disk, in order: the name, the path relative to
 * the place (`*` for the random part of a name) and, for a rename, the new path.
 */
export async function changingCalls(compiled: string, scenario: Scenario): Promise<string[]> {
  return await inPlace(compiled, scenario, async (place, changes) => {
    const log = join(place.top, 'log')
    await traced(compiled, scenario, place, changes, ['-y', '-o', log])
    const lines = readFileSync(log, 'utf8').split('\n')
    const main = lines[0]?.split(' ')[0]
    return lines
      .filter(line => line.split(' ')[0] === main && CHANGING.test(callOf(line)))
      .filter(line => callOf(line) !== 'openat' || line.includes('O_CREAT'))
      .map(line => {
        const names = [...line.matchAll(/[<"](\/[^>"]+)[>"]/g)].map(([, name = '']) => name)
        const files = names.filter(name => `${name}/`.startsWith(`${place.top}/`))
        const flags = /O_CREAT|O_EXCL|O_NOFOLLOW/g
        const how = callOf(line) === 'openat' ? (line.match(flags) ?? []).join('|') : ''
        const short = files.map(name => relative(place.top, name) || '.')
        return [callOf(line), ...new Set(short), how].filter(part => part !== '').join(' ')
      })
      .map(line => line.replace(/[0-9a-f]{12}\.tmp/g, '*.tmp'))
  })
}

function callOf(line: string): string {
  return /^\d+ +(\w+)\(/.exec(line)?.[1] ?? ''
}

/**
 * Calls that change the disk. A kill at any other call has the same effect as a kill at the next call
 * that changes the disk.
 */
const CHANGING =
  /^(mkdir|rmdir|openat|write|pwrite64|f?chmod|f?chown|fsync|utimensat|symlink|rename|unlink)$/

/** True for calls that change the disk. With VFIO_PATCH_SWEEP=every, which takes minutes, for all calls. */
export function changesDisk({ call, reads }: Point): boolean {
  return process.env.VFIO_PATCH_SWEEP === 'every' || (CHANGING.test(call) && !reads)
}

/**
 * Finds the calls of the scenario on its folders, selects them with `pick`, and runs the scenario
 * once for each of them in a new place with the strace injection `inject` at that call. Returns
 * their number.
 */
export async function sweep(
  compiled: string,
  scenario: Scenario,
  inject: string,
  pick: (point: Point) => boolean,
  check: (injected: InjectedRun) => void
): Promise<number> {
  const points = (await findPoints(compiled, scenario)).filter(pick)
  const queue = [...points]
  const work = async () => {
    for (let point = queue.shift(); point !== undefined; point = queue.shift()) {
      const { call, nth } = point
      await inPlace(compiled, scenario, async (place, changes) => {
        const how = ['-o', '/dev/null', '-e', `inject=${call}:${inject}:when=${nth}`]
        check({
          point,
          place,
          changes,
          ended: await traced(compiled, scenario, place, changes, how)
        })
      })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  if (process.env.VFIO_PATCH_SWEEP) console.log(`${inject}: ${points.length} calls`)
  return points.length
}

async function findPoints(compiled: string, scenario: Scenario): Promise<Point[]> {
  return await inPlace(compiled, scenario, async (place, changes) => {
    const log = join(place.top, 'log')
    await traced(compiled, scenario, place, changes, ['-o', log])
    const lines = readFileSync(log, 'utf8').split('\n')
    // Calls of the child process (cp) with the same number get the injection, too.
    const main = lines[0]?.split(' ')[0]
    const counts = new Map<string, number>()
    const own = lines.filter(line => callOf(line) !== '' && line.split(' ')[0] === main)
    return own.map(line => {
      const call = callOf(line)
      const nth = (counts.get(call) ?? 0) + 1
      counts.set(call, nth)
      const reads = call === 'openat' && !line.includes('O_CREAT')
      return reads ? { call, nth, reads } : { call, nth }
    })
  })
}

async function inPlace<T>(
  compiled: string,
  scenario: Scenario,
  action: (place: Place, changes: FileChange[]) => Promise<T>
): Promise<T> {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-sweep-')))
  try {
    const place = placeIn(top)
    const changes = scenario.given(place)
    const { killedAt, ...first } = scenario
    if (killedAt !== undefined)
      await traced(compiled, first, place, changes, ['-o', '/dev/null', '-e', `inject=${killedAt}`])
    return await action(place, changes)
  } finally {
    rmSync(top, { recursive: true, force: true })
  }
}

function traced(
  compiled: string,
  scenario: Scenario,
  place: Place,
  changes: FileChange[],
  how: string[]
): Promise<Ended> {
  const watched = changes.flatMap(({ realpath }) => [
    realpath,
    dirname(realpath),
    ...temporaryNames(realpath)
  ])
  if (scenario.state) watched.push(...stateNames(place))
  const folders = [place.nixos, ...changes.map(({ realpath }) => dirname(realpath))]
  if (scenario.state) folders.push(place.state)
  watched.push(...folders.flatMap(ownNames))
  const paths = [...new Set([place.nixos, ...watched])].flatMap(path => ['-P', path])
  // Faster, but strace can't send signals with it.
  const filter = how.some(each => each.includes(':signal=')) ? [] : ['--seccomp-bpf']
  const options = ['-f', ...filter, '-e', 'trace=%file,%desc', ...paths, ...how]
  const job =
    scenario.killedAt !== undefined
      ? recoveryOf(changes, place.options)
      : jobOf(changes, place.options)
  const call = [process.execPath, runnerIn(compiled), compiled, job, 'counted']
  return runProgram('strace', [...options, ...call])
}

function temporaryNames(path: string): string[] {
  return Array.from({ length: NAMES }, (_, index) => {
    const random = Buffer.alloc(6, index + 1).toString('hex')
    return join(dirname(path), `.${basename(path)}.vfio-patch.${random}.tmp`)
  })
}

function ownNames(folder: string): string[] {
  return ['lock', 'journal', 'journal.new'].map(name => join(folder, `.vfio-patch.${name}`))
}

function stateNames({ top, state }: Place): string[] {
  const runs = [1, 2].map(number => join(state, `runs/20261122-160312-${number}`))
  const names = ['1.before', '2.before', '3.before', '4.before', 'manifest.json', 'done']
  const files = runs.flatMap(run => [run, ...names.map(name => join(run, name))])
  return [top, state, join(state, 'runs'), ...files]
}
