// A machine's folders to be crashed, and commands that change several files there.
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

/** What is called after a command was crashed: each asks for a state, and `diff` for none. */
export const FOLLOWERS = {
  undo: ['undo', '--yes', 'configuration.nix'],
  apply: ['apply', '--yes', '--replace-modules', '--device', '10de:1b80', 'configuration.nix'],
  diff: ['diff', '--replace-modules', '--device', '10de:1b80', 'configuration.nix']
}

/** The commands that are crashed; `given` brings the machine to where each starts. */
export const COMMANDS = {
  apply: {
    words: FOLLOWERS.apply,
    given: machine => {
      machine.mustRun(['apply', '--yes', '--iommu', 'amd', 'configuration.nix'])
      // Modules that are to be replaced, and one that is to come.
      for (const name of MODULES) appendFileSync(join(machine.nixos, 'vfio', name), '# mine\n')
      rmSync(join(machine.nixos, 'vfio/virtualisation.nix'))
      // A run that could be taken back by mistake.
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

/** A command that writes and has nothing to write: what an earlier run left is all it sees to. */
export const NEXT = [
  'option',
  'set',
  'configuration.nix',
  'networking.hostName',
  '"workstation"',
  '--yes'
]

/** Makes a machine of the example; `top` is its folder. */
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
    /** The words of a call, of which a trace tells the same each time. */
    call: words => [process.execPath, '--import', STEADY, BIN, ...words],
    run(words, through = []) {
      const [program, ...rest] = [...through, ...machine.call(words)]
      const { status, signal, stdout, stderr } = spawnSync(program, rest, {
        cwd: nixos,
        env,
        encoding: 'utf8',
        timeout: 60_000
      })
      return { status, signal, stdout, stderr }
    },
    mustRun(words) {
      const { status, stderr } = machine.run(words)
      if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr}`)
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
    /** The configuration's folder: mode, owner, name and content of all in it. */
    files: () => listing(nixos),
    /** The names in the state folder, without those in the runs. */
    runs: () => (existsSync(state) ? names(state) : []),
    remove: () => rmSync(top, { recursive: true, force: true })
  }
  return machine
}

function copy(from, to) {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

/** All that is below a folder, one line each. */
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

/** The state folder's own names, and each run's: a run that isn't done is said to be none. */
function names(state) {
  const own = readdirSync(state).filter(name => name !== 'runs')
  const runs = join(state, 'runs')
  const ids = existsSync(runs) ? readdirSync(runs) : []
  const isDone = id => ['manifest.json', 'done'].every(name => existsSync(join(runs, id, name)))
  return [...own, ...ids.map(id => (isDone(id) ? id : `${id} (not done)`))].sort()
}
