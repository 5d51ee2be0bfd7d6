import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import type { FileChange } from '../../../src/files/change.ts'
import { runner } from './compile.ts'
import { type Ended, jobOf, runProgram } from './job.ts'
import { listing } from './listing.ts'
import { type Place, placeIn } from './place.ts'

/** A change to try at every system call: what is there first, and what is to be done. */
export interface Scenario {
  /** Fills the place and returns the changes. */
  given(place: Place): FileChange[]
  /** Whether calls on the state folder count, too. */
  state?: boolean
}

/** The n-th call of one name. */
export interface Point {
  call: string
  nth: number
}

/** A place where something was done to the process at a point. */
export interface Struck {
  point: Point
  place: Place
  changes: FileChange[]
  ended: Ended
}

/** The same, with everything that is in `nixos` afterwards. */
export interface StruckOnce extends Struck {
  listing: string[]
}

const AT_ONCE = 2
/** More random names than any change here takes. */
const NAMES = 16

/** Runs the scenario once with these injections, each as strace words it. */
export async function strike(
  compiled: string,
  scenario: Scenario,
  injections: string[]
): Promise<StruckOnce> {
  return await inPlace(scenario, async (place, changes) => {
    const how = injections.flatMap(each => ['-e', `inject=${each}`])
    const ended = await traced(compiled, scenario, place, changes, ['-o', '/dev/null', ...how])
    const point = { call: injections.join(), nth: 1 }
    return { point, place, changes, ended, listing: listing(place.nixos) }
  })
}

/**
 * The calls of the process itself that change the disk, in order: the name, the file below the
 * place's top (`*` for the random part of a name) and, for a rename, where to.
 */
export async function changingCalls(compiled: string, scenario: Scenario): Promise<string[]> {
  return await inPlace(scenario, async (place, changes) => {
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
 * Calls that change the disk, and `openat`, which may: what a kill at any other call leaves, a kill
 * at the next of these leaves, too.
 */
const CHANGING =
  /^(mkdir|rmdir|openat|write|pwrite64|f?chmod|f?chown|fsync|utimensat|rename|unlink)$/

/** Those calls; with `every` in VFIO_PATCH_SWEEP, which takes minutes, all of them. */
export function changesDisk({ call }: Point): boolean {
  return process.env.VFIO_PATCH_SWEEP === 'every' || CHANGING.test(call)
}

/**
 * Finds the calls that the scenario makes on its folders, keeps those that `pick` wants, and runs
 * it once for each of them, each time in a new place, with `inject` (as strace words it) done to
 * that call. Returns how many there were.
 */
export async function sweep(
  compiled: string,
  scenario: Scenario,
  inject: string,
  pick: (point: Point) => boolean,
  check: (struck: Struck) => void
): Promise<number> {
  const points = (await findPoints(compiled, scenario)).filter(pick)
  const queue = [...points]
  const work = async () => {
    for (let point = queue.shift(); point !== undefined; point = queue.shift()) {
      const { call, nth } = point
      await inPlace(scenario, async (place, changes) => {
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
  return await inPlace(scenario, async (place, changes) => {
    const log = join(place.top, 'log')
    await traced(compiled, scenario, place, changes, ['-o', log])
    const lines = readFileSync(log, 'utf8').split('\n')
    // Calls of the child process (cp) are struck along with those of the same number.
    const main = lines[0]?.split(' ')[0]
    const counts = new Map<string, number>()
    for (const line of lines) {
      const call = callOf(line)
      if (call !== '' && line.split(' ')[0] === main) counts.set(call, (counts.get(call) ?? 0) + 1)
    }
    return [...counts].flatMap(([call, count]) =>
      Array.from({ length: count }, (_, index) => ({ call, nth: index + 1 }))
    )
  })
}

async function inPlace<T>(
  scenario: Scenario,
  action: (place: Place, changes: FileChange[]) => Promise<T>
): Promise<T> {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-sweep-')))
  try {
    const place = placeIn(top)
    return await action(place, scenario.given(place))
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
  const paths = [...new Set([place.nixos, ...watched])].flatMap(path => ['-P', path])
  // Faster, but strace sends no signals with it.
  const filter = how.some(each => each.includes(':signal=')) ? [] : ['--seccomp-bpf']
  const options = ['-f', ...filter, '-e', 'trace=%file,%desc', ...paths, ...how]
  const job = jobOf(changes, place.options)
  return runProgram('strace', [...options, process.execPath, runner, compiled, job, 'counted'])
}

function temporaryNames(path: string): string[] {
  return Array.from({ length: NAMES }, (_, index) => {
    const random = Buffer.alloc(6, index + 1).toString('hex')
    return join(dirname(path), `.${basename(path)}.vfio-patch.${random}.tmp`)
  })
}

function stateNames({ top, state }: Place): string[] {
  const run = join(state, 'runs/20261122-160312-1')
  const names = ['1.before', '2.before', '3.before', 'manifest.json', 'done']
  return [top, state, join(state, 'runs'), run, ...names.map(name => join(run, name))]
}
