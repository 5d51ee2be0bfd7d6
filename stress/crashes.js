// Kills apply, undo and remove at every system call that touches their folders, makes each of those calls
// fail, fills the disk, and kills at random times. After the next command, all files must be as before the
// change or all as after it, without leftovers, and the messages must be true. Each of `undo`, `apply` and
// `diff` is tried after each kill: it must lead to the requested state, and undo no further run.
//   npm run stress -- crashes [kills] [errors] [full] [random] [every] [apply] [undo] [remove]
// A kill at a call that changes nothing has the same effect as a kill at the next call that changes
// something. So only the changing calls are tested; with `every`, all calls.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { COMMANDS, FOLLOWERS, makeMachine, NEXT } from './support/machine.js'
import { finish, row } from './support/report.js'
import { callsIn, watchedIn } from './support/tracedCalls.js'

const ERRORS = ['EIO', 'ENOSPC', 'EROFS', 'EDQUOT']
const RANDOM_KILLS = 200
const PARTS = {
  kills: killEverywhere,
  errors: failEverywhere,
  full: fillDisk,
  random: killAtRandom
}

const wanted = process.argv.slice(2)
const parts = pick(Object.keys(PARTS))
const commands = pick(Object.keys(COMMANDS))
const faults = []
const machine = makeMachine()
try {
  for (const name of commands) {
    const scenario = prepare(name)
    for (const part of parts) await PARTS[part](scenario)
  }
} finally {
  machine.remove()
}
finish(faults, 'faults')

function pick(all) {
  const named = all.filter(name => wanted.includes(name))
  return named.length === 0 ? all : named
}

/** The state before and after the command, and its system calls on the machine's folders. */
function prepare(name) {
  const { words, given } = COMMANDS[name]
  machine.start()
  given(machine)
  machine.keep('before')
  const before = snapshot()
  // Two runs: the first finds the paths to watch, the second counts only the calls on these paths.
  const log = join(machine.top, 'log')
  const seen = machine.run(words, ['strace', '-f', '-y', '-e', 'trace=%file,%desc', '-o', log])
  if (seen.status !== 0) throw new Error(`${name}: ${seen.output}`)
  const after = snapshot()
  const watched = watchedIn(log, machine)
  machine.restore('before')
  machine.run(words, ['strace', '-f', '-e', 'trace=%file,%desc', ...watched, '-o', log])
  const scenario = { name, words, before, after, watched, points: callsIn(log) }
  const changed = before.files.filter(line => !after.files.includes(line)).length
  const writes = scenario.points.filter(({ changes }) => changes).length
  row(
    `${name}: changed or deleted files, calls, changing calls`,
    changed,
    scenario.points.length,
    writes
  )
  return { ...scenario, follows: followersOf(scenario) }
}

/** The expected state after each follower, depending on whether the killed command had taken effect. */
function followersOf({ name, before, after }) {
  const from = (start, words) => {
    machine.restore('before')
    if (start === 'after') machine.mustRun(COMMANDS[name].words)
    machine.mustRun(words)
    return snapshot()
  }
  const applied = { old: from('before', FOLLOWERS.apply), new: from('after', FOLLOWERS.apply) }
  // After `undo`, a killed undo is complete, and any other killed command is rolled back or undone.
  const wanted = name === 'undo' ? after : before
  // If the killed command left no trace, `undo` undoes the run before it.
  const traceless = from('before', FOLLOWERS.undo)
  return { undo: { old: wanted, new: wanted, traceless }, apply: applied }
}

function inject({ watched, words }, { call, nth }, how) {
  machine.restore('before')
  const filter = how.startsWith('signal') ? [] : ['--seccomp-bpf']
  const through = ['strace', '-f', ...filter, '-o', '/dev/null', '-e', 'trace=%file,%desc']
  return machine.run(words, [...through, ...watched, '-e', `inject=${call}:${how}:when=${nth}`])
}

/** Kills at every call. */
function killEverywhere(scenario) {
  const counts = { points: 0, old: 0, new: 0, mixed: 0, litter: 0, notes: 0, followed: 0 }
  const begin = performance.now()
  for (const point of scenario.points) {
    if (!point.changes && !wanted.includes('every')) continue
    const ended = inject(scenario, point, 'signal=SIGKILL')
    counts.points += 1
    look(counts, scenario)
    if (ended.signal !== 'SIGKILL' && ended.status !== 137 && !isChildKilled(ended))
      fault(scenario, point, 'was not killed', ended.output)
    machine.keep('killed')
    const { report: next, isNew } = settle(scenario, point, counts)
    if (earlierRunsIn(next).length > 0) counts.notes += 1
    follow(scenario, point, isNew, counts)
  }
  const seconds = Math.round((performance.now() - begin) / 1000)
  printCounts(`${scenario.name}: killed at every call`, { ...counts, seconds })
}

/** Runs each follower after the same kill: the state must be the expected one, without leftovers. */
function follow(scenario, point, isNew, counts) {
  machine.restore('killed')
  const killed = snapshot()
  const { before, follows } = scenario
  const isTraceless = same(killed.files, before.files) && same(killed.runs, before.runs)
  for (const [name, words] of Object.entries(FOLLOWERS)) {
    machine.restore('killed')
    const { status, report: document, output } = machine.run(words)
    const now = snapshot()
    counts.followed += 1
    if (name === 'diff') {
      if (status !== 0 && status !== 1) fault(scenario, point, `diff ended with ${status}`, output)
      const isPending = earlierRunsIn(document).every(it => it.outcome === 'pending')
      const isSame = same(now.files, killed.files) && same(now.runs, killed.runs)
      if (!isSame || !isPending)
        fault(scenario, point, 'diff changed something, or reported that it did', output)
      continue
    }
    if (status !== 0) fault(scenario, point, `${name} ended with ${status}`, output)
    const { traceless, ...wanted } = follows[name]
    const state = isTraceless && traceless !== undefined ? traceless : wanted[isNew ? 'new' : 'old']
    if (!same(now.files, state.files))
      fault(
        scenario,
        point,
        `${name} gave an unexpected state`,
        difference(now.files, state.files) + output
      )
    if (now.runs.some(run => run.endsWith('(not done)')))
      fault(scenario, point, `${name} left a run that is not done`, now.runs.join(' '))
  }
}

/** If a child process makes the call first, the injection hits the child, and its failure is reported. */
function isChildKilled({ output }) {
  return /\((cp|cp: \w+)\)/.test(output)
}

/** Makes every call fail with each error. */
function failEverywhere(scenario) {
  for (const errno of ERRORS) {
    const counts = { points: 0, old: 0, new: 0, mixed: 0, litter: 0, warned: 0 }
    for (const point of scenario.points) {
      if (!point.changes && !(errno === 'EIO' && point.reads)) continue
      const ended = inject(scenario, point, `error=${errno}`)
      counts.points += 1
      const place = { ...point, errno }
      if (ended.status === 8) counts.warned += 1
      checkTruth(scenario, place, ended)
      if (ended.status === 8 && scenario.name === 'undo') undoAgain(scenario, place)
      settle(scenario, place, counts)
    }
    printCounts(`${scenario.name}: ${errno}`, counts)
  }
}

/** After an undo that failed, a second undo must complete it and undo no further run. */
function undoAgain(scenario, point) {
  machine.keep('killed')
  const { status, output } = machine.run(FOLLOWERS.undo)
  const { files } = snapshot()
  if (status !== 0) fault(scenario, point, `the undo after it ended with ${status}`, output)
  if (!same(files, scenario.after.files))
    fault(scenario, point, 'the undo after it gave an unexpected state', output)
  machine.restore('killed')
}

/** Runs on a disk of limited size, from full to sufficient. */
function fillDisk(scenario) {
  const counts = { points: 0, old: 0, new: 0, mixed: 0, litter: 0, refused: 0 }
  for (let free = 0; free <= 240; free += 8) {
    machine.restore('before')
    machine.keep('full')
    const script = `
      mount -t tmpfs -o size=2m none "${machine.work}" || exit 99
      cp -a "${machine.top}/full/." "${machine.work}" && cd "${machine.nixos}" || exit 99
      avail=$(df --output=avail -k . | tail -1)
      head -c $(( (avail - ${free}) * 1024 )) /dev/zero > "${machine.work}/ballast" || exit 99
      "$@"; code=$?
      rm "${machine.work}/ballast"
      rm -rf "${machine.top}/full" && cp -a "${machine.work}" "${machine.top}/full"
      exit $code`
    const ended = machine.run(scenario.words, ['unshare', '-m', 'sh', '-c', script, 'sh'])
    if (ended.status === 99) throw new Error(ended.output)
    machine.restore('full')
    counts.points += 1
    if (ended.status === 4) counts.refused += 1
    const place = { call: 'a disk with KB free:', nth: free }
    checkTruth(scenario, place, ended)
    settle(scenario, place, counts)
  }
  printCounts(`${scenario.name}: a full disk`, counts)
}

/** Kills at random times. */
async function killAtRandom(scenario) {
  const counts = { points: 0, old: 0, new: 0, mixed: 0, litter: 0, ended: 0 }
  machine.restore('before')
  const begin = performance.now()
  machine.mustRun(scenario.words)
  const whole = performance.now() - begin
  for (let round = 0; round < RANDOM_KILLS; round += 1) {
    machine.restore('before')
    // The first half of a run is mostly startup, so the kills are in the second half.
    const after = whole * (0.5 + Math.random() * 0.6)
    if (!(await killedAfter(scenario.words, after))) counts.ended += 1
    counts.points += 1
    look(counts, scenario)
    settle(scenario, { call: 'killed after ms:', nth: Math.round(after) }, counts)
  }
  printCounts(`${scenario.name}: killed at random`, counts)
}

function killedAfter(words, delay) {
  const [program, ...rest] = machine.call(words)
  return new Promise(resolve => {
    const child = spawn(program, rest, { cwd: machine.nixos, env: machine.env, stdio: 'ignore' })
    const timer = setTimeout(() => child.kill('SIGKILL'), delay)
    child.on('close', (_, signal) => {
      clearTimeout(timer)
      resolve(signal === 'SIGKILL')
    })
  })
}

/** Counts leftovers and mixed files after the injection, before any other command runs. */
function look(counts, { before, after }) {
  const { files } = snapshot()
  const kept = files.filter(line => !/ (\S*\/)?\.\S*vfio-patch\.\S*/.test(line.split(': ')[0]))
  if (kept.length < files.length) counts.litter += 1
  if (!same(kept, before.files) && !same(kept, after.files)) counts.mixed += 1
}

/** Runs the next command: all files must be as before the change or all as after it, without leftovers. */
function settle(scenario, point, counts) {
  const { before, after } = scenario
  const next = machine.run(NEXT)
  if (next.status !== 0)
    fault(scenario, point, `the next command ended with ${next.status}`, next.output)
  const now = snapshot()
  const isNew = same(now.files, after.files)
  if (isNew) counts.new += 1
  else if (same(now.files, before.files)) counts.old += 1
  else {
    const left = difference(now.files, before.files)
    const right = difference(now.files, after.files)
    fault(scenario, point, 'mixed files', left.length < right.length ? left : right)
  }
  if (!same(now.runs, isNew ? after.runs : before.runs))
    fault(scenario, point, 'unexpected runs', now.runs.join(' '))
  if (earlierRunsIn(next.report).length > 0 && earlierRunsIn(machine.run(NEXT).report).length > 0)
    fault(scenario, point, 'reported twice', next.output)
  return { ...next, isNew }
}

/** The interrupted runs that a command reports. */
function earlierRunsIn(report) {
  return report?.earlierRuns ?? []
}

/** Compares the report of the command with the disk. */
function checkTruth(scenario, point, { status, signal, report, output }) {
  const { outcome, error, warnings = [] } = report ?? {}
  const message = error?.message ?? ''
  const { files } = snapshot()
  const isOwn = line => !line.includes(' .vfio-patch.')
  const visible = files.filter(isOwn)
  const isOld = same(visible, scenario.before.files)
  const isNew = same(visible, scenario.after.files)
  if (signal !== null || ![0, 2, 3, 4, 5, 6, 8].includes(status))
    fault(scenario, point, `ended with ${signal ?? status}`, output)
  if (status === 0 && !isNew) fault(scenario, point, 'reported success', output)
  if (message.includes('Nothing was written') && !isOld)
    fault(scenario, point, 'reported that nothing was written', output)
  const hasLeftovers = warnings.some(it => it.code === 'LEFT_BEHIND')
  if (outcome === 'written-with-warnings' && !hasLeftovers && !hasAllOf(scenario.after, files))
    fault(scenario, point, 'reported that the change is written', output)
  if (![0, 8].includes(status) && !isOld && !message.includes('Now on the disk'))
    fault(scenario, point, 'did not report a changed file', output)
  for (const [, path, word] of message.matchAll(
    /(?:disk: |, )(\/\S+) \((as before|with the change)\)/g
  ))
    if (!isAs(path, word === 'as before' ? scenario.before : scenario.after))
      fault(scenario, point, `reported that ${path} is ${word}`, output)
}

/** Whether all expected files exist. */
function hasAllOf({ files: wanted }, files) {
  return wanted.every(line => files.includes(line))
}

function isAs(path, { hashes }) {
  return (existsSync(path) ? hashOf(path) : undefined) === hashes.get(path)
}

function snapshot() {
  const files = machine.files()
  const names = files.map(line => /^\d+ \d+:\d+ ([^:>]+): /.exec(line)?.[1]).filter(Boolean)
  const paths = names.map(name => join(machine.nixos, name))
  return { files, runs: machine.runs(), hashes: new Map(paths.map(path => [path, hashOf(path)])) }
}

function hashOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function same(a, b) {
  return a.length === b.length && a.every((line, index) => line === b[index])
}

function difference(now, before) {
  const brief = line => line.slice(0, 70).replaceAll('\n', ' ')
  const more = now.filter(line => !before.includes(line)).map(line => `+ ${brief(line)}`)
  const less = before.filter(line => !now.includes(line)).map(line => `- ${brief(line)}`)
  return [...more, ...less].join('\n')
}

function fault({ name }, { call, nth, errno = '' }, what, detail) {
  faults.push(`${name} ${call} ${nth} ${errno}: ${what}\n${detail}`)
}

function printCounts(name, counts) {
  console.log(
    `${name.padEnd(32)} ${Object.entries(counts)
      .map(([word, count]) => `${word} ${count}`)
      .join(', ')}`
  )
}
