import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect } from 'vitest'
import { finish } from './finish.ts'

const project = fileURLToPath(new URL('../../../', import.meta.url))
export const BIN = join(project, 'bin/vfio-patch.js')
export const EXAMPLE = join(project, 'examples/asrock-x570-pro4')

/** The outcome of a call. Paths begin at the root of the place; RUN-1, … replace IDs of runs, and WHEN times. */
export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

export interface CallOptions {
  env?: Record<string, string>
  cwd?: string
  /** Words to put before the call, such as `setpriv …`. */
  through?: readonly string[]
  /** A shell script that runs the call, which it has as "$@". */
  script?: string
}

/** A folder that is the root of a machine for one test; `nixos` is its `/etc/nixos`. */
export interface Place {
  top: string
  nixos: string
  env: Record<string, string>
  /** Calls vfio-patch in `/etc/nixos`. */
  run(words: readonly string[], options?: CallOptions): Promise<Outcome>
  /** Writes a file of `/etc/nixos`. */
  write(name: string, content: string | Uint8Array): void
  read(name: string): string
  /** Everything in the place: kinds, owners, modes, times and contents. */
  snapshot(): string[]
  /** The texts of the files in `/etc/nixos`, by name. */
  files(): Record<string, string>
  /** Makes the paths in a text begin at the root of the place, and replaces IDs of runs and times. */
  plain(text: string): string
}

const tops: string[] = []
afterAll(() => {
  for (const top of tops) rmSync(top, { recursive: true, force: true })
})

/** Makes a place with these files in `/etc/nixos`. It is deleted after the tests of the file. */
export function makePlace(files: Record<string, string | Uint8Array> = {}): Place {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-cli-')))
  tops.push(top)
  chmodSync(top, 0o755)
  const nixos = join(top, 'etc/nixos')
  const home = join(top, 'home')
  for (const folder of [nixos, home]) mkdirSync(folder, { recursive: true, mode: 0o755 })
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    LANG: 'C.UTF-8',
    TERM: 'xterm',
    VFIO_PATCH_STATE: join(top, 'state')
  }
  const plain = (text: string) =>
    text
      .replaceAll(top, '')
      .replace(/\b\d{8}-\d{6}-(\d+)\b/g, 'RUN-$1')
      .replace(/\bsince [-\d]{10} [:\d]{8} UTC/g, 'since WHEN')
  const write = (name: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(nixos, name)), { recursive: true, mode: 0o755 })
    writeFileSync(join(nixos, name), content, { mode: 0o644 })
  }
  for (const [name, content] of Object.entries(files)) write(name, content)
  return {
    top,
    nixos,
    env,
    async run(words, options = {}) {
      const call = [process.execPath, BIN, ...words]
      const script = options.script === undefined ? [] : ['sh', '-c', options.script, 'sh']
      const outcome = await finish([...(options.through ?? []), ...script, ...call], {
        cwd: options.cwd ?? nixos,
        env: { ...env, ...options.env }
      })
      const { code, stdout, stderr } = outcome
      return { code, stdout: plain(stdout), stderr: plain(stderr) }
    },
    write,
    read: name => readFileSync(join(nixos, name), 'utf8'),
    snapshot: () => walk(top, '').map(it => describe(top, it)),
    files: () =>
      Object.fromEntries(
        walk(nixos, '')
          .filter(it => lstatSync(join(nixos, it)).isFile())
          .map(it => [it, readFileSync(join(nixos, it), 'utf8')])
      ),
    plain
  }
}

/** A place with the machine of the example. */
export function makeExample(): Place {
  const place = makePlace()
  cpSync(EXAMPLE, place.nixos, { recursive: true })
  return place
}

/** Expects that vfio-patch refuses a call with exactly this output, and changes nothing. */
export async function expectRefusal(
  place: Place,
  words: readonly string[],
  expected: { code: number; stderr: string; stdout?: string },
  options?: CallOptions
): Promise<void> {
  const before = place.snapshot()
  const outcome = await place.run(words, options)
  expect(outcome).toEqual({ stdout: '', ...expected })
  expect(place.snapshot()).toEqual(before)
}

function walk(top: string, inside: string): string[] {
  return readdirSync(join(top, inside), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(it => {
      const path = join(inside, it.name)
      return it.isDirectory() ? [path, ...walk(top, path)] : [path]
    })
}

function describe(top: string, path: string): string {
  const stat = lstatSync(join(top, path))
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0')
  const facts = `${mode} ${stat.uid}:${stat.gid} ${stat.ino} ${stat.mtimeMs} ${path}`
  if (stat.isSymbolicLink()) return `${facts} -> ${readlinkSync(join(top, path))}`
  return stat.isFile() ? `${facts}: ${readFileSync(join(top, path), 'latin1')}` : facts
}
