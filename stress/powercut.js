// Cuts the power after every system call by which apply, undo and remove change the disk: the machine's
// folders are on an ext4 image, which is copied while the process is stopped. In the mounted copy, each
// file must be as before or as after the change. After the next command, all files must be of the same
// version, and e2fsck must find nothing. Needs root, strace, and a loop device.
//   npm run stress -- powercut [apply] [undo] [remove]
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { COMMANDS, makeMachine, NEXT } from './support/machine.js'
import { finish } from './support/report.js'
import { callsIn, watchedIn } from './support/tracedCalls.js'

// These options delay automatic writes and do not flush data for renames, so that a missing fsync shows.
const OPTIONS = 'loop,commit=300,noauto_da_alloc'

if (process.env.POWERCUT_INSIDE === undefined) {
  // Runs in a separate mount namespace, so that all mounts end with the process.
  const env = { ...process.env, POWERCUT_INSIDE: '1' }
  const args = ['-m', process.execPath, ...process.argv.slice(1)]
  process.exit(spawnSync('unshare', args, { env, stdio: 'inherit' }).status ?? 1)
}

const machine = makeMachine()
const image = name => join(machine.top, `${name}.img`)
const log = join(machine.top, 'log')
const faults = []
try {
  mkdirSync(machine.work)
  const named = process.argv.slice(2)
  for (const name of named.length > 0 ? named : Object.keys(COMMANDS)) await cutEverywhere(name)
} finally {
  spawnSync('umount', [machine.work], { stdio: 'ignore' })
  machine.remove()
}
finish(faults, 'faults')

async function cutEverywhere(name) {
  const { words, given } = COMMANDS[name]
  must('truncate', '-s', '24M', image('before'))
  must('mkfs.ext4', '-q', '-F', '-m', '0', image('before'))
  mount('before')
  mkdirSync(machine.nixos, { recursive: true })
  must('cp', '-r', `${machine.example}/.`, machine.nixos)
  given(machine)
  const before = machine.files()
  unmount()

  const { watched, after } = watch(words)
  const points = pointsOf(words, watched)
  const counts = { points: 0, old: 0, new: 0, mixed: 0 }
  for (const { call, nth } of points) {
    copyFileSync(image('before'), image('work'))
    mount('work')
    await stopAt(words, watched, `${call}:signal=SIGSTOP:when=${nth}`)
    unmount()
    counts.points += 1
    inspect(`${name} ${call} ${nth}`, before, after, counts)
  }
  // When the command has reported success, the change must be on the disk.
  copyFileSync(image('before'), image('work'))
  mount('work')
  machine.mustRun(words)
  copyFileSync(image('work'), image('cut'))
  unmount()
  mount('cut')
  // The lock is deleted last, so it may reappear. It does no harm, because its process has ended.
  const done = machine.files().filter(isPermanent)
  if (!same(done, after)) faults.push(`${name}: reported success, but not on the disk`)
  unmount()
  const figures = Object.entries(counts).map(([word, count]) => `${word} ${count}`)
  console.log(`${name.padEnd(10)} ${figures.join(', ')}`)
}

/** Checks the copied disk, right after the cut and after the next command. */
function inspect(where, before, after, counts) {
  mount('cut')
  const versions = new Set([...before, ...after])
  const cut = machine.files().filter(isPermanent)
  for (const line of cut)
    if (!versions.has(line)) faults.push(`${where}: neither before nor after: ${line.slice(0, 80)}`)
  if (!same(cut, before) && !same(cut, after)) counts.mixed += 1
  const next = machine.run(NEXT)
  if (next.status !== 0) faults.push(`${where}: the next command: ${next.output}`)
  const settled = machine.files()
  if (same(settled, after)) counts.new += 1
  else if (same(settled, before)) counts.old += 1
  else faults.push(`${where}: mixed files after the next command`)
  unmount()
  const { status, stdout } = spawnSync('e2fsck', ['-fn', image('cut')], { encoding: 'utf8' })
  if (status !== 0) faults.push(`${where}: e2fsck: ${stdout}`)
}

/** Whether a file is none of those that exist only during a run. */
function isPermanent(line) {
  return !/ (\S*\/)?\.\S*vfio-patch\.\S*$/.test(line.split(/: | -> /)[0])
}

/** Runs the command until it is stopped at the call, copies the disk, and kills the command. */
async function stopAt(words, watched, injection) {
  writeFileSync(log, '')
  const traced = [
    '-f',
    '-e',
    'trace=%file,%desc',
    ...watched,
    '-o',
    log,
    '-e',
    `inject=${injection}`
  ]
  const strace = spawn('strace', [...traced, ...machine.call(words)], {
    cwd: machine.nixos,
    env: machine.env,
    stdio: 'ignore'
  })
  const ended = new Promise(resolve => strace.on('close', resolve))
  let isEnded = false
  ended.then(() => {
    isEnded = true
  })
  let stopped
  while (stopped === undefined && !isEnded) {
    await pause(5)
    stopped = /^(\d+) +--- stopped by SIGSTOP/m.exec(readFileSync(log, 'utf8'))?.[1]
  }
  copyFileSync(image('work'), image('cut'))
  const first = /^(\d+) /.exec(readFileSync(log, 'utf8'))?.[1]
  for (const pid of new Set([stopped, first])) {
    try {
      if (pid !== undefined) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // The process has ended.
    }
  }
  await ended
}

function watch(words) {
  copyFileSync(image('before'), image('work'))
  mount('work')
  const seen = machine.run(words, ['strace', '-f', '-y', '-e', 'trace=%file,%desc', '-o', log])
  if (seen.status !== 0) throw new Error(seen.output)
  const after = machine.files()
  unmount()
  return { after, watched: watchedIn(log, machine) }
}

function pointsOf(words, watched) {
  copyFileSync(image('before'), image('work'))
  mount('work')
  machine.run(words, ['strace', '-f', '-e', 'trace=%file,%desc', ...watched, '-o', log])
  unmount()
  return callsIn(log).filter(({ changes }) => changes)
}

function mount(name) {
  must('mount', '-o', OPTIONS, image(name), machine.work)
}

function unmount() {
  must('umount', machine.work)
}

function must(program, ...args) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
}

function same(a, b) {
  return a.length === b.length && a.every((line, index) => line === b[index])
}
