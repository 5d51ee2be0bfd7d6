// Tests random inputs, each determined by its seed. Uses separate processes, so that a crash or a hang is
// detected and its seed can be printed.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Counts, finish, row, turn } from './report.js'

/** How long a process may be silent before it counts as hung, in milliseconds. */
const SILENCE = 60_000

/** How long an input may take, in milliseconds of CPU time, which other programs don't affect. */
export const LIMIT = 1000

/**
 * Tests the seeds that the command line requests, [COUNT [SEED]], and prints counts and faults. The
 * calling module, whose URL is `script`, also runs in the other processes.
 *
 * `inputOf(seed)` returns an input. `check(input, counts)`, which is timed, adds to the counts and returns a
 * fault, a promise of a fault, or undefined. `stop()` ends what a process started, `more(faults)` prints more
 * rows, and `what` describes the faults. `count` is the default of COUNT. A process reports after every `step`
 * seeds.
 *
 * @param {string} script
 * @param {{
 *   count: number, step: number, what: string,
 *   inputOf: (seed: number) => any, check: (input: any, counts: Counts) => unknown,
 *   stop?: () => void, more?: (faults: string[]) => void
 * }} options
 */
export async function trySeeds(script, { count, step, inputOf, check, stop, more, what }) {
  const report = process.send?.bind(process)
  if (report) {
    process.on('message', (/** @type {[number, number]} */ range) =>
      trySteps(range, { step, inputOf, check, stop, report })
    )
    return
  }
  const started = performance.now()
  const from = Number(process.argv[3] ?? Date.now() % 1_000_000_000)
  const to = from + Number(process.argv[2] ?? count)
  const sum = new Counts()
  let slowest = 0
  let memory = 0
  const faults = await tryInChildren(fileURLToPath(script), { from, to, step }, seen => {
    for (const [name, number] of seen.counts) sum.add(name, number)
    slowest = Math.max(slowest, seen.slowest)
    memory = Math.max(memory, seen.memory)
  })
  for (const [name, number] of sum) row(name, number)
  row('seeds', `${from} to ${to - 1}`)
  row('slowest, ms of CPU time', slowest.toFixed(1))
  row('peak memory of a process, MB', Math.round(memory / 1024))
  more?.(faults)
  row('time, s', Math.round((performance.now() - started) / 1000))
  finish(faults, what)
}

/** Tests the seeds from `from` up to `to`, in a process that has a channel to its parent. */
async function trySteps([from, to], { step, inputOf, check, stop, report }) {
  for (let start = from; start < to; start += step) {
    const end = Math.min(to, start + step)
    const counts = new Counts([['inputs', end - start]])
    const checks = []
    let slowest = 0
    for (let seed = start; seed < end; seed++) {
      const input = inputOf(seed)
      const { value, time } = timed(() => check(input, counts))
      slowest = Math.max(slowest, time)
      if (time > LIMIT) report({ seed, fault: `took ${Math.round(time)} ms` })
      checks.push(Promise.resolve(value).then(fault => fault && report({ seed, fault })))
      if (seed % 20 === 0) await turn()
    }
    await Promise.all(checks)
    report({ counts: [...counts], slowest, at: end, memory: process.resourceUsage().maxRSS })
  }
  stop?.()
  process.disconnect()
}

/** The result of a function, and its CPU time in milliseconds. */
export function timed(run) {
  const before = process.cpuUsage()
  const value = run()
  const { user, system } = process.cpuUsage(before)
  return { value, time: (user + system) / 1000 }
}

/** Random numbers from 0 to below 1, determined by the seed (mulberry32). */
export function randomFrom(seed) {
  let state = Math.imul(seed, 0x9e3779b9) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * Tests the seeds from `from` up to `to` in processes of `script`, one after the other. A process
 * gets the message `[from, to]`. After each `step` seeds it sends `{ at, ... }`, which means that all seeds
 * before `at` are done and is passed to `collect`. For each fault that it detects, it sends `{ seed, fault }`.
 * A seed at which a process ends or hangs is also a fault, and the next process continues after that seed.
 * Returns all faults as text.
 */
async function tryInChildren(script, { from, to, step }, collect) {
  const faults = []
  for (let next = from; next < to; ) {
    const { at, end } = await runChild(script, next, to, collect, faults)
    next = at
    if (end) next = 1 + (await findCulprit(script, { from: at, to, step, end }, collect, faults))
  }
  return faults
}

/** Finds the seed that ended a process; if no seed does so alone, the last seed of the step. */
async function findCulprit(script, { from, to, step, end }, collect, faults) {
  const last = Math.min(to, from + step)
  for (let seed = from; seed < last; seed++) {
    const alone = await runChild(script, seed, seed + 1, collect, faults)
    if (!alone.end) continue
    faults.push(`seed ${seed}: ${alone.end}`)
    return seed
  }
  faults.push(`seeds ${from} to ${last - 1}: ${end}, but none of them alone`)
  return last - 1
}

/** Tests seeds in one process. `at` is the first seed that is not done; `end` is how an unfinished process ended. */
function runChild(script, from, to, collect, faults) {
  return new Promise(resolve => {
    const child = fork(script)
    let at = from
    let timer
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => child.kill('SIGKILL'), SILENCE)
    }
    wait()
    child.send([from, to])
    child.on('message', (/** @type {any} */ message) => {
      wait()
      if (message.fault) faults.push(`seed ${message.seed}: ${message.fault}`)
      else {
        at = message.at
        collect(message)
      }
    })
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      const end = signal === 'SIGKILL' ? 'hung' : `ended with ${code ?? signal}`
      resolve({ at, end: at < to ? end : undefined })
    })
  })
}
