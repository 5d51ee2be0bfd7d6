// The folders of a machine for crash tests, and commands that change several files there.
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = fileURLToPath(new URL('../..', import.meta.url))
const EXAMPLE = join(project, 'examples/asrock-x570-pro4')
const STEADY = fileURLToPath(new URL('steady.js', import.meta.url))
const BIN = process.env.VFIO_PATCH_BIN ?? join(project, 'bin/vfio-patch.js')
const MODULES = ['vfio.nix', 'libvirt.nix']

/** The commands after a crash: each requests a state, except `diff`. */
export const FOLLOWERS = {
  undo: ['undo', '--yes', 'configuration.nix'],
  apply: ['apply', '--yes', '--replace-modules', '--device', '10de:1b80', 'configuration.nix'],
  diff: ['diff', '--replace-modules', '--device', '10de:1b80', 'configuration.nix']
}

/** The commands to crash; `given` prepares the machine for each. */
export const COMMANDS = {
  apply: {
    words: FOLLOWERS.apply,
    given: machine => {
      machine.mustRun(['apply', '--yes', '--iommu', 'amd', 'configuration.nix'])
      // The command replaces modules and creates one.
      for (const name of MODULES) appendFileSync(join(machine.nixos, 'vfio', name), '# mine\n')
      rmSync(join(machine.nixos, 'vfio/virtualisation.nix'))
      // An earlier run, which must not be undone by mistake.
      machine.mustRun(OPTION)
    }
  },
  undo: {
    words: FOLLOWERS.undo,
    given: machine => {
      COMMANDS.apply.given(machine)
      machine.mustRun(COMMANDS.apply.words)
    }
  },
  remove: {
    words: ['remove', '--yes', 'configuration.nix'],
    given: machine => {
      machine.mustRun(['apply', '--yes', '--iommu', 'amd', 'configuration.nix'])
    }
  }
}

const OPTION = ['option', 'set', 'configuration.nix', 'networking.domain', '"home"', '--yes']

/** A command that writes but finds nothing to change, so that it only recovers an interrupted run. */
export const NEXT = [
  'option',
  'set',
  'configuration.nix',
  'networking.hostName',
  '"workstation"',
  '--yes'
]

/** Creates a machine from the example; `top` is its folder. */
export function makeMachine(top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-crash-')))) {
  const work = join(top, 'work')
  const nixos = join(work, 'etc/nixos')
  const state = join(work, 'state')
  const env = {
    PATH: process.env.PATH,
    HOME: top,
    LANG: 'C.UTF-8',
    VFIO_PATCH_STATE: state,
    GIT_CEILING_DIRECTORIES: top
  }
  const machine = {
    top,
    example: EXAMPLE,
    work,
    nixos,
    state,
    env,
    /** The arguments of a process with reproducible traces, which prints its report as JSON. */
    call: words => [process.execPath, '--import', STEADY, BIN, ...words, '--json'],
    /** Runs a command; `report` is its document, undefined if it was killed before printing it. */
    run(words, through = []) {
      const [program, ...rest] = [...through, ...machine.call(words)]
      const { status, signal, stdout, stderr } = spawnSync(program, rest, {
        cwd: nixos,
        env,
        encoding: 'utf8',
        timeout: 60_000
      })
      return { status, signal, report: reportIn(stdout), output: stderr + stdout }
    },
    mustRun(words) {
      const { status, output } = machine.run(words)
      if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${output}`)
    },
    start() {
      rmSync(work, { recursive: true, force: true })
      mkdirSync(nixos, { recursive: true })
      cpSync(EXAMPLE, nixos, { recursive: true })
    },
    keep(name) {
      rmSync(join(top, name), { recursive: true, force: true })
      copy(work, join(top, name))
    },
    restore(name) {
      rmSync(work, { recursive: true, force: true })
      copy(join(top, name), work)
    },
    /** The folder of the configuration: mode, owner, name and content of every entry. */
    files: () => listing(nixos),
    /** The names in the state folder, and the runs. */
    runs: () => (existsSync(state) ? names(state) : []),
    remove: () => rmSync(top, { recursive: true, force: true })
  }
  return machine
}

function reportIn(stdout) {
  try {
    return JSON.parse(stdout)
  } catch {
    return undefined
  }
}

function copy(from, to) {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

/** Everything below a folder, one line for each entry. */
export function listing(folder, below = '') {
  return readdirSync(join(folder, below))
    .sort()
    .flatMap(name => {
      const path = join(below, name)
      const stat = lstatSync(join(folder, path))
      const head = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid} ${path}`
      if (stat.isDirectory()) return [`${head}/`, ...listing(folder, path)]
      if (stat.isSymbolicLink()) return [`${head} -> ${readlinkSync(join(folder, path))}`]
      return [`${head}: ${readFileSync(join(folder, path), 'latin1')}`]
    })
}

/** The names in the state folder and the IDs of the runs, marked if a run isn't done. */
function names(state) {
  const own = readdirSync(state).filter(name => name !== 'runs')
  const runs = join(state, 'runs')
  const ids = existsSync(runs) ? readdirSync(runs) : []
  const isDone = id => ['manifest.json', 'done'].every(name => existsSync(join(runs, id, name)))
  return [...own, ...ids.map(id => (isDone(id) ? id : `${id} (not done)`))].sort()
}
